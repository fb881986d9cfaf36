"""Read the clean facts that had arrived by the end of a partition, in time order: as columns, or as one frame.

Ids are held as codes: a log has thousands of times fewer ids than rows, and codes are compared, sorted and looked up
as integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from training.contracts.columns import INTERACTIONS
from training.contracts.errors import MissingArtefact
from training.contracts.partitions import Partition
from training.settings import Settings
from training.storage import PART, list_partitions, open_parquet

Rows = npt.NDArray[np.int64]
_EVENT_ID = "event_id"
_CODED = [column.name for column in INTERACTIONS.columns if column.kind == "string" and column.name != _EVENT_ID]


def read_log(settings: Settings, until: Partition, columns: Sequence[str] = INTERACTIONS.column_names) -> pa.Table:
    """Return every interaction that arrived up to `until`, inclusive, and occurred before its `as_of`.

    Args:
        settings: Names the home.
        until: Last arrival day that may be known.
        columns: Which columns of the INTERACTIONS contract to return.

    Returns:
        One row per event, sorted by occurred_at, user_id, event_id. Text other than event_id is dictionary-encoded,
        over exactly the values that occur, sorted: equal columns have equal codes.

    Raises:
        MissingArtefact: Nothing up to `until` has been exported.
    """
    paths = _paths(settings, until)
    needed = list(dict.fromkeys([*columns, "occurred_at", "user_id"]))
    parts = [pq.read_table(path, columns=needed, read_dictionary=_CODED, partitioning=None) for path in paths]
    table = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
    known = np.flatnonzero(np.asarray(pc.less(table["occurred_at"], pa.scalar(until.as_of))))
    if len(known) < len(table):
        table = table.take(pa.array(known))
    for name in sorted(set(_CODED) & set(needed)):
        table = table.set_column(table.schema.get_field_index(name), name, _by_value(table[name]))
    rows = _in_time_order(table, paths, known)
    return table.select(list(columns)).take(pa.array(rows)).combine_chunks()


def read_interactions(
    settings: Settings, until: Partition, columns: Sequence[str] = INTERACTIONS.column_names
) -> pd.DataFrame:
    """Return the same as `read_log` as a frame of plain strings, index 0 to n-1; times are UTC."""
    table = read_log(settings, until, columns)
    plain = {field.name: _plain(table[field.name]) for field in table.schema}
    frame: pd.DataFrame = pa.table(plain).to_pandas()
    return frame


def codes(column: pa.ChunkedArray) -> Rows:
    """Return the code of each row of a dictionary-encoded column of `read_log`, int64[N]."""
    return np.asarray(column.combine_chunks().indices).astype(np.int64)


def values_of(column: pa.ChunkedArray) -> pa.Array:
    """Return the values of a dictionary-encoded column of `read_log`, sorted; value i has code i."""
    return column.combine_chunks().dictionary


def places_in(ids: Sequence[str], column: pa.ChunkedArray) -> Rows:
    """Return the place in `ids` of each row of a dictionary-encoded column of `read_log`, int64[N]; -1 of strangers."""
    found = pc.index_in(values_of(column), value_set=pa.array(ids, pa.string()))
    return np.asarray(pc.fill_null(found, -1)).astype(np.int64)[codes(column)]


def epoch_seconds(times: pa.ChunkedArray) -> Rows:
    """Return timestamps in microseconds as whole seconds, int64[N], rounded down."""
    return np.asarray(times.cast(pa.int64())).astype(np.int64) // 1_000_000


def _paths(settings: Settings, until: Partition) -> list[Path]:
    folder = settings.home / "features" / INTERACTIONS.name
    days = [day for day in list_partitions(folder) if day <= until] if folder.is_dir() else []
    if not days:
        raise MissingArtefact(
            f"expected interactions up to {until}, found none at {folder}; run transform_partition for {until}"
        )
    return [settings.features_dir(INTERACTIONS.name, day) / PART for day in days]


def _by_value(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return a dictionary-encoded column over the values that occur, sorted."""
    found = column.combine_chunks()
    occurs = np.zeros(len(found.dictionary), np.bool_)
    occurs[np.asarray(found.indices)] = True
    order = np.asarray(pc.array_sort_indices(found.dictionary))
    order = order[occurs[order]]
    rank = np.empty(len(occurs), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    values = found.dictionary.take(pa.array(order))
    return pa.DictionaryArray.from_arrays(pa.array(rank[np.asarray(found.indices)]), values)


def _in_time_order(table: pa.Table, paths: Sequence[Path], known: Rows) -> Rows:
    """Return the rows by occurred_at, user_id, event_id; event ids are read of rows alone that the others leave tied.

    Args:
        table: What is sorted, user ids coded by value.
        paths: The files that the rows are from, in order.
        known: int64[N], each row's place in all of them, ascending.
    """
    occurred_at = np.asarray(table["occurred_at"].cast(pa.int64()))
    users = np.asarray(table["user_id"].combine_chunks().indices)
    rows = np.lexsort((users, occurred_at)).astype(np.int64)
    is_same = (np.diff(occurred_at[rows]) == 0) & (np.diff(users[rows]) == 0)
    tied = np.flatnonzero(np.append(is_same, False) | np.append([False], is_same))
    if len(tied):
        group = np.cumsum(~np.append([False], is_same))[tied]
        rows[tied] = rows[tied][np.lexsort((_event_order(paths, known[rows[tied]]), group))]
    return rows


def _event_order(paths: Sequence[Path], places: Rows) -> Rows:
    """Return the rank of the event id of each of some rows, given by their places in all files end to end."""
    found, start = pa.nulls(0, pa.string()), 0
    ascending = np.sort(places)
    for path in paths:
        with open_parquet(path) as file:
            stop = start + file.metadata.num_rows
            inside = ascending[slice(*np.searchsorted(ascending, (start, stop)))]
            if len(inside):
                ids = file.read(columns=[_EVENT_ID])[_EVENT_ID].take(pa.array(inside - start))
                found = pa.concat_arrays([found, *ids.chunks])
        start = stop
    rank = np.empty(len(found), np.int64)
    rank[np.asarray(pc.array_sort_indices(found))] = np.arange(len(found))
    return rank[np.searchsorted(ascending, places)]


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
