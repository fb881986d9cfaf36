"""Measure what serving costs beside the usual ways and beside the limit of the machine."""
