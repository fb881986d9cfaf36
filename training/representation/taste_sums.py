"""Sum item vectors per user and window: from yesterday's sums where they can be trusted, else from all events.

The state of a day holds exact integers under `taste_sums/item_space=<id>/dt=D`. It is a cache: deleting it
costs time, never changes a byte of a snapshot.

Shape legend: N interactions, U users, W windows, K = 2 D + 1 columns (both modalities, then the count).
"""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import scipy.sparse as sp

from training.contracts.columns import TASTE_WINDOWS_DAYS
from training.contracts.partitions import Partition
from training.representation.item_table import ItemTable
from training.settings import Settings
from training.storage import PART, list_partitions, new_dir, write_json

logger = logging.getLogger(__name__)
_COLUMNS = ["user_id", "item_id", "occurred_at"]
KEEP_STATES = 2
_DAY_US = 86_400_000_000
_FOREVER_US = 2**62
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TasteSums:
    """Exact sums of quantised item vectors.

    Attributes:
        user_ids: External ids, sorted.
        values: int64 [W, U, K], windows in the order of `TASTE_WINDOWS_DAYS`.
        unknown: Items of the interactions that had no vector; if one gets a vector later, sums start anew.
    """

    user_ids: tuple[str, ...]
    values: Counts
    unknown: frozenset[str] = frozenset()

    def rows(self, user_ids: pa.ChunkedArray | pa.Array) -> Counts:
        """Return the sums of `user_ids` in their order, int64 [W, len(user_ids), K]; zeros without interactions."""
        found = pc.index_in(user_ids, value_set=pa.array(self.user_ids, pa.string()))
        missing = np.asarray(found.is_null())
        values = np.zeros((len(self.values), len(user_ids), self.values.shape[2]), np.int64)
        values[:, ~missing] = self.values[:, np.asarray(found.drop_null())]
        return values


def taste_sums(settings: Settings, partition: Partition, table: ItemTable) -> tuple[TasteSums, bool]:
    """Return the sums as of `partition`, and whether they came from the day before's; stores them for the next day."""
    previous = _load_state(settings, partition.shift(-1), table)
    sums = (
        sum_interactions(read_facts(settings, None, partition), partition, table)
        if previous is None
        else _advance(settings, partition, table, previous)
    )
    _save_state(settings, partition, table, sums)
    return sums, previous is not None


def sum_interactions(facts: pa.Table, partition: Partition, table: ItemTable) -> TasteSums:
    """Return the sums over all `facts` as of a partition, one sparse product per band of age."""
    user_ids = tuple(sorted(pc.unique(facts["user_id"]).to_pylist()))
    age_us = _age_us(facts, partition)
    bounds = [_FOREVER_US if days is None else days * _DAY_US for days in TASTE_WINDOWS_DAYS.values()]
    bands = [
        _sum_events(facts.filter(pa.array((low < age_us) & (age_us <= high))), user_ids, table)
        for low, high in zip([-_FOREVER_US, *bounds[:-1]], bounds, strict=True)
    ]
    return TasteSums(user_ids, np.cumsum(np.stack(bands), axis=0), _without_vector(facts, table))


def _advance(settings: Settings, partition: Partition, table: ItemTable, previous: TasteSums) -> TasteSums:
    """Return yesterday's sums plus what arrived today, less what left each window."""
    arrived = read_facts(settings, partition, partition)
    age_us = _age_us(arrived, partition)
    user_ids = tuple(sorted(set(previous.user_ids) | set(pc.unique(arrived["user_id"]).to_pylist())))
    values = previous.rows(pa.array(user_ids, pa.string()))
    for index, days in enumerate(TASTE_WINDOWS_DAYS.values()):
        inside = age_us <= (_FOREVER_US if days is None else days * _DAY_US)
        values[index] += _sum_events(arrived.filter(pa.array(inside)), user_ids, table)
        if days is not None:
            values[index] -= _sum_events(_read_leavers(settings, partition, days), user_ids, table)
    return TasteSums(user_ids, values, previous.unknown | _without_vector(arrived, table))


def _without_vector(facts: pa.Table, table: ItemTable) -> frozenset[str]:
    item_ids = pc.unique(facts["item_id"])
    return frozenset(item_ids.filter(pc.invert(pc.is_in(item_ids, value_set=table.item_ids))).to_pylist())


def _read_leavers(settings: Settings, partition: Partition, days: int) -> pa.Table:
    """Return the interactions known yesterday that were inside the window then and are not today."""
    left = partition.shift(-days)
    facts = read_facts(settings, left, partition.shift(-1), occurred_on=left)
    age_us = _age_us(facts, partition)
    return facts.filter(pa.array((days * _DAY_US < age_us) & (age_us <= (days + 1) * _DAY_US)))


def _sum_events(facts: pa.Table, user_ids: tuple[str, ...], table: ItemTable) -> Counts:
    """Return int64 [U, K]; integer products are exact in any order."""
    users = np.asarray(pc.index_in(facts["user_id"], value_set=pa.array(user_ids, pa.string()))).astype(np.int64)
    items = table.locate(facts["item_id"])
    ones = np.ones(len(users), np.int64)
    counts = sp.csr_array((ones, (users, items)), shape=(len(user_ids), len(table.values)))
    return np.asarray(counts @ table.values)


def _age_us(facts: pa.Table, partition: Partition) -> Counts:
    """Return microseconds from `occurred_at` to `as_of`; an event exactly D days old is still inside a window of D."""
    occurred = np.asarray(facts["occurred_at"].cast(pa.int64())).astype(np.int64)
    return int(partition.as_of.timestamp()) * 1_000_000 - occurred


def read_facts(
    settings: Settings, since: Partition | None, until: Partition, occurred_on: Partition | None = None
) -> pa.Table:
    """Return interactions arrived in [since, until], both closed; optionally near one day of occurrence."""
    paths = [
        settings.features_dir("interactions", partition) / PART
        for partition in list_partitions(settings.home / "features" / "interactions")
        if (since is None or since <= partition) and partition <= until
    ]
    filters = None
    if occurred_on is not None:
        filters = (pc.field("occurred_at") >= occurred_on.starts_at) & (
            pc.field("occurred_at") <= occurred_on.as_of + timedelta(days=1)
        )
    tables = [pq.read_table(path, columns=_COLUMNS, filters=filters, partitioning=None) for path in paths]
    schema = pa.schema([("user_id", pa.string()), ("item_id", pa.string()), ("occurred_at", pa.timestamp("us", "UTC"))])
    return pa.concat_tables([schema.empty_table(), *(t.cast(schema) for t in tables)])


def _state_dir(settings: Settings, item_space_id: str, partition: Partition) -> Path:
    return settings.home / "taste_sums" / f"item_space={item_space_id}" / f"dt={partition}"


def _sources(settings: Settings, partition: Partition) -> list[list[object]]:
    """Return what tells whether the facts up to a day are still those that were summed."""
    folder = settings.home / "features" / "interactions"
    stats = [(str(p), (folder / f"dt={p}" / PART).stat()) for p in list_partitions(folder) if p <= partition]
    return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]


def _load_state(settings: Settings, partition: Partition, table: ItemTable) -> TasteSums | None:
    """Return a day's sums, or None when absent or when anything they rest on has changed since."""
    folder = _state_dir(settings, table.item_space_id, partition)
    if not (folder / "state.json").exists():
        return None
    state = json.loads((folder / "state.json").read_text())
    vectors_kept = all(table.late.get(item_id) == digest for item_id, digest in state["late"].items())
    newly_known = set(state["unknown"]) & set(table.item_ids.to_pylist())
    if not vectors_kept or newly_known or state["sources"] != _sources(settings, partition):
        return None
    return TasteSums(tuple(state["user_ids"]), np.load(folder / "sums.npy"), frozenset(state["unknown"]))


def _save_state(settings: Settings, partition: Partition, table: ItemTable, sums: TasteSums) -> None:
    folder = _state_dir(settings, table.item_space_id, partition)
    shutil.rmtree(folder, ignore_errors=True)
    with new_dir(folder) as temporary:
        np.save(temporary / "sums.npy", sums.values)
        state = {
            "user_ids": sums.user_ids,
            "late": table.late,
            "unknown": sorted(sums.unknown),
            "sources": _sources(settings, partition),
        }
        write_json(state, temporary / "state.json")
    for old in list_partitions(folder.parent)[:-KEEP_STATES]:
        shutil.rmtree(_state_dir(settings, table.item_space_id, old), ignore_errors=True)
