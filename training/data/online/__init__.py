"""Write snapshots to Feast's online stores: in bulk in Feast's own formats, or by Feast's own writer."""
