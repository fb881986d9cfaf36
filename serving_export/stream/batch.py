"""Hold the batch's features of one partition and item space mapped, so that one user's are found in microseconds.

The snapshots are joined once into an uncompressed Arrow file beside the overlay; every worker maps the same pages.

Shape legend: W windows, K = 2 D + 1 columns (both modalities, then the count), D item vector width.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from serving_export.overlay import OVERLAY
from serving_export.packed import Ids, find_rows, pack_ids
from training.arrays import Doubles
from training.contracts.columns import (
    EVENT_TIMESTAMP,
    MODALITIES,
    TASTE_WINDOWS_DAYS,
    USER_ACTIVITY,
    USER_HISTORY,
    USER_ONBOARDING,
    USER_PROFILE,
    USER_TASTE,
)
from training.contracts.errors import MissingArtefact
from training.contracts.partitions import Partition
from training.data.feature_store import read_item_features
from training.representation.item_space import load_item_space
from training.representation.item_table import UNIT, ItemTable, build_item_table
from training.representation.taste import pool
from training.settings import Settings
from training.storage import PART, replace_file

logger = logging.getLogger(__name__)
_KEPT_FILES = 6
_TABLES = (USER_PROFILE, USER_ACTIVITY, USER_TASTE, USER_ONBOARDING, USER_HISTORY)
_KEYS = ("user_id", "item_space_id", EVENT_TIMESTAMP)
_ARRAYS = ("taste_", "count_taste_", *(f"onboarding_{modality}" for modality in MODALITIES))
ACTIVITY = tuple(name for name in USER_ACTIVITY.column_names if name not in ("user_id", EVENT_TIMESTAMP))


@dataclass(frozen=True)
class BatchUser:
    """One user's features as the batch has them.

    Attributes:
        values: Profile, picks and history by column; the history's times in microseconds since 1970.
        activity_A: float64 [A], `ACTIVITY`; 0 where a value is missing.
        taste_WK: Sums and counts, float64.
        picks: Mean vectors of the onboarding picks, float32 [2 D].
    """

    values: dict[str, Any]
    activity_A: Doubles
    taste_WK: Doubles
    picks: npt.NDArray[np.float32]


class Batch:
    """Features of a partition pooled in one item space, and the items as they were known then."""

    def __init__(self, settings: Settings, partition: Partition, item_space_id: str) -> None:
        """Map the features; make the file where it is missing or older than its sources.

        Raises:
            MissingArtefact: The partition's features are not there.
        """
        self.partition, self.item_space_id = partition, item_space_id
        self._table = _mapped(settings, partition, item_space_id)
        self._user_ids: Ids = pack_ids(self._table["user_id"].to_pylist())
        items = read_item_features(settings, partition)
        self.items: ItemTable = build_item_table(load_item_space(settings, item_space_id), items)
        self.item_rows = {item: row for row, item in enumerate(self.items.item_ids.to_pylist())}
        self.item_values: Doubles = self.items.values.astype(np.float64)
        self.item_values[:, :-1] /= UNIT
        self.categories: dict[str, str] = {
            item: category
            for item, category in zip(items["item_id"], items["category"], strict=True)
            if category != "unknown"
        }

    @property
    def width(self) -> int:
        """D, the width of one modality."""
        return self.items.width

    def __len__(self) -> int:
        return len(self._user_ids)

    def users(self, user_ids: list[str]) -> dict[str, BatchUser]:
        """Return the features of the users among some ids that the batch knows."""
        rows = find_rows(self._user_ids, user_ids)
        known = [user for user, row in zip(user_ids, rows.tolist(), strict=True) if row >= 0]
        if not known:
            return {}
        taken = self._table.take(pa.array(rows[rows >= 0])).combine_chunks()
        taste = _sums(taken, self.width)
        picks = np.hstack([_vectors(taken[f"onboarding_{modality}"]) for modality in MODALITIES])
        activity = np.column_stack([pc.fill_null(taken[name].cast(pa.float64()), 0.0).to_numpy() for name in ACTIVITY])
        plain = [name for name in taken.column_names if not name.startswith(_ARRAYS) and name not in ACTIVITY]
        records = zip(*(_cells(taken[name]) for name in plain), strict=True)
        values = [dict(zip(plain, record, strict=True)) for record in records]
        found = zip(known, values, activity, taste, picks, strict=True)
        return {user: BatchUser(*known_of) for user, *known_of in found}


def _cells(column: pa.ChunkedArray) -> list[Any]:
    """Return cells as Python values; lists are cut from one flat list, since cell by cell they cost ten times that."""
    if not pa.types.is_list(column.type):
        return list(column.to_pylist())
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False).tolist()
    stops = np.cumsum(pc.fill_null(pc.list_value_length(column), 0).to_numpy()).tolist()
    return [flat[start:stop] for start, stop in zip([0, *stops[:-1]], stops, strict=True)]


def _sums(rows: pa.Table, width: int) -> Doubles:
    """Return sums and counts, float64 [n, W, K], of the means that snapshots hold."""
    sums = np.zeros((rows.num_rows, len(TASTE_WINDOWS_DAYS), 2 * width + 1))
    for index, window in enumerate(TASTE_WINDOWS_DAYS):
        counts = rows[f"count_taste_{window}"].to_numpy().astype(np.float64)
        sums[:, index, -1] = counts
        for number, modality in enumerate(MODALITIES):
            means = _vectors(rows[f"taste_{modality}_{window}"])
            sums[:, index, number * width : (number + 1) * width] = means * counts[:, None]
    return sums


def _vectors(column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    flat = column.combine_chunks().flatten().to_numpy()
    return np.asarray(flat, np.float32).reshape(len(column), -1)


def batch_path(settings: Settings, partition: Partition, item_space_id: str) -> Path:
    """Return the file of the joined features; a partition that was built again has another.

    Raises:
        MissingArtefact: The partition's features are not there.
    """
    stats = [path.stat() for path in _sources(settings, partition, item_space_id)]
    name = hashlib.sha256(repr([(stat.st_ino, stat.st_mtime_ns) for stat in stats]).encode()).hexdigest()[:12]
    return settings.published_dir / OVERLAY / f"batch-{partition}-{item_space_id}-{name}.arrow"


def _mapped(settings: Settings, partition: Partition, item_space_id: str) -> pa.Table:
    """Return the joined features, mapped from their file."""
    path = batch_path(settings, partition, item_space_id)
    if not path.exists():
        _join(_sources(settings, partition, item_space_id), path)
        logger.info("joined the features of %s in item space %s for the stream", partition, item_space_id)
        _sweep(path.parent)
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all()


def _sources(settings: Settings, partition: Partition, item_space_id: str) -> list[Path]:
    pooled = {USER_TASTE.name, USER_ONBOARDING.name}
    paths = [
        settings.features_dir(table.name, partition, item_space_id if table.name in pooled else None) / PART
        for table in _TABLES
    ]
    if not all(path.exists() for path, table in zip(paths, _TABLES, strict=True) if table.name in pooled):
        pool(settings, partition, item_space_id)
    for path in paths:
        if not path.exists():
            raise MissingArtefact(f"expected features of {partition} at {path}, found none; build the partition again")
    return paths


def _join(sources: list[Path], path: Path) -> None:
    users = pq.read_table(sources[0], columns=["user_id"], partitioning=None)["user_id"].combine_chunks()
    users = users.take(pc.sort_indices(users))
    columns: dict[str, pa.Array] = {"user_id": users}
    for source in sources:
        table = pq.read_table(source, partitioning=None)
        places = pc.index_in(users, value_set=table["user_id"].combine_chunks())
        names = [name for name in table.column_names if name not in _KEYS]
        columns |= {name: table[name].take(places).combine_chunks() for name in names}
    times = columns["history_occurred_at"]
    columns["history_occurred_at"] = times.cast(pa.list_(pa.timestamp("us", tz="UTC"))).cast(pa.list_(pa.int64()))
    joined = pa.table(columns)
    with replace_file(path) as temporary, pa.ipc.new_file(str(temporary), joined.schema) as writer:
        writer.write_table(joined)


def _sweep(folder: Path) -> None:
    """Remove all but the newest joined files; a worker that has one mapped keeps its pages."""
    found = sorted(folder.glob("batch-*.arrow"), key=lambda path: path.stat().st_mtime_ns)
    for path in found[:-_KEPT_FILES]:
        path.unlink(missing_ok=True)
