"""Pool users' interactions and onboarding picks in the vectors of one item space.

A snapshot is a pure function of what had arrived by the end of its partition. Yesterday's exact sums are
only a shortcut: sums are fixed-point integers, so running and recomputed ones agree to the last bit.

Shape legend: U users, I items, W windows, K = 2 D + 1 columns (both modalities, then the count).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from training.contracts.columns import MODALITIES, TASTE_WINDOWS_DAYS, USER_ONBOARDING, USER_TASTE
from training.contracts.errors import MissingArtefact
from training.contracts.partitions import Partition
from training.data.derived_lock import reads_derived
from training.data.feature_store import read_item_features
from training.data.vector_columns import as_lists
from training.representation.item_space import load_item_space
from training.representation.item_table import UNIT, ItemTable, build_item_table
from training.representation.taste_sums import Counts, TasteSums, taste_sums
from training.settings import Settings
from training.storage import PART, arrow_schema, write_parquet

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PooledSnapshot:
    """What `pool` wrote: one row per known user in each of the two tables."""

    item_space_id: str
    partition: str
    num_users: int
    incremental: bool


@reads_derived
def pool(settings: Settings, partition: Partition, item_space_id: str) -> PooledSnapshot:
    """Write the `user_taste` and `user_onboarding` snapshots of a partition in one item space.

    Windows are measured back from `as_of`, on `occurred_at`, over interactions arrived by the end of the
    partition; every user of the profile snapshot gets a row, zeros where a window is empty.

    Raises:
        MissingArtefact: The partition's features are not exported, or there is no such item space.
    """
    profile = _read_profile(settings, partition)
    items = read_item_features(settings, partition)
    table = build_item_table(load_item_space(settings, item_space_id), items)
    sums, incremental = taste_sums(settings, partition, table)
    keys = _key_columns(profile["user_id"], item_space_id, partition)
    pooled = pooled_columns(profile, sums, table)
    for contract, columns in zip((USER_TASTE, USER_ONBOARDING), pooled, strict=True):
        path = settings.features_dir(contract.name, partition, item_space_id) / PART
        write_parquet(pa.table(keys | columns, schema=arrow_schema(contract)), path)
    logger.info("pooled %d users of %s in item space %s", len(profile), partition, item_space_id)
    return PooledSnapshot(
        item_space_id=item_space_id, partition=str(partition), num_users=len(profile), incremental=incremental
    )


def pooled_columns(profile: pa.Table, sums: TasteSums, table: ItemTable) -> tuple[dict[str, pa.Array], ...]:
    """Return the columns of taste, then those of onboarding, one row per row of `profile`.

    Args:
        profile: `user_id`, and the lists of picks `onboarding_item_ids` and `onboarding_categories`.
        sums: Exact sums over the users' interactions.
        table: The item vectors that were summed.
    """
    taste = _taste_columns(sums.rows(profile["user_id"]), table.width)
    return taste, onboarding_columns(profile, table)


def _read_profile(settings: Settings, partition: Partition) -> pa.Table:
    path = settings.features_dir("user_profile", partition) / PART
    if not path.exists():
        raise MissingArtefact(f"expected the user_profile snapshot at {path}, found none; run build_features first")
    columns = ["user_id", "onboarding_item_ids", "onboarding_categories"]
    return pq.read_table(path, columns=columns, partitioning=None).sort_by("user_id").combine_chunks()


def _key_columns(user_ids: pa.ChunkedArray, item_space_id: str, partition: Partition) -> dict[str, pa.Array]:
    return {
        "user_id": user_ids,
        "item_space_id": pa.array([item_space_id] * len(user_ids), pa.string()),
        "event_timestamp": pa.array([partition.as_of] * len(user_ids), pa.timestamp("us", tz="UTC")),
    }


def _taste_columns(sums_WUK: Counts, width: int) -> dict[str, pa.Array]:
    columns: dict[str, pa.Array] = {}
    for window, sums_UK in zip(TASTE_WINDOWS_DAYS, sums_WUK, strict=True):
        columns |= _mean_columns(f"taste_{{}}_{window}", sums_UK, width)
        columns[f"count_taste_{window}"] = pa.array(sums_UK[:, -1], pa.int64())
    return columns


def onboarding_columns(profile: pa.Table, table: ItemTable) -> dict[str, pa.Array]:
    """Return the mean vector of each modality of users' picks, and their count.

    Args:
        profile: Rows with the lists `onboarding_item_ids` and `onboarding_categories`.
        table: The item space's vectors.
    """
    lists = (profile[name].combine_chunks() for name in ("onboarding_item_ids", "onboarding_categories"))
    sums_UK = table.picks(*lists)
    counts = {"count_onboarding": pa.array(sums_UK[:, -1], pa.int64())}
    return _mean_columns("onboarding_{}", sums_UK, table.width) | counts


def _mean_columns(name: str, sums_UK: Counts, width: int) -> dict[str, pa.Array]:
    """Return the mean vector per modality as list columns; means are zero where the count is."""
    divisor = np.maximum(sums_UK[:, -1:], 1) * float(UNIT)
    return {
        name.format(modality): as_lists(sums_UK[:, m * width : (m + 1) * width] / divisor)
        for m, modality in enumerate(MODALITIES)
    }
