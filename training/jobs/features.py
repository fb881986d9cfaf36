"""Jobs of the feature chain: transform a partition with dbt and export it, then serve it online."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.contracts.partitions import Partition
from training.data import warehouse
from training.ingest.landed_days import require_landed
from training.settings import Settings
from training.storage import exclusive


def transform_partition(settings: Settings, partition: Partition, since: str | None = None) -> dict[str, Any]:
    """Build what has landed up to the partition and export its snapshots and the changed days of interactions.

    Args:
        settings: Names the home.
        partition: Whose complete snapshots are built.
        since: An ISO date from which the facts are built and exported again, whether or not they changed.

    Returns:
        The build and the export report: days built, dbt nodes by status, rows per table.

    Raises:
        MissingArtefact: The day's logs have arrived and have not landed.
    """
    require_landed(settings, partition)
    first = Partition.parse(since) if since else None
    with exclusive(settings.warehouse_lock):
        built = warehouse.build(settings, partition, first)
        exported = warehouse.export_features(settings, partition, first)
    return {**built.to_dict(), **exported.to_dict()}


def materialise_features(
    settings: Settings, partition: Partition, views: Sequence[str] | None = None
) -> dict[str, Any]:
    """Declare the features to Feast and serve the partition's snapshots, unless newer ones are served already.

    Args:
        settings: Names the home and the online store.
        partition: Whose snapshots are served.
        views: Names of feature views; None takes every view that has a snapshot of the partition.

    Returns:
        Rows written per view; views that serve a newer partition are left out.
    """
    from training.data import feature_store

    feature_store.apply(settings)
    return {"partition": str(partition), "rows": feature_store.materialise(settings, partition, views)}
