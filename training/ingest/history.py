"""Write a data set's history as the arrival-day partitions that a live log would have left.

History has no arrival times: every event arrives on its own day, users and items on the first day of the log, unless
the data set says when.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from training.contracts.artefacts import Artefact
from training.contracts.columns import RAW_INTERACTIONS, RAW_ITEMS, RAW_TABLES, RAW_USERS
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.ingest.conversion import TIMESTAMP
from training.settings import Settings
from training.storage import arrow_schema, replace_file

logger = logging.getLogger(__name__)
ARRIVED_ON = "arrived_on"
_EPOCH = date(1970, 1, 1)
_MICROS_PER_DAY = 86_400_000_000
_DAYS_PER_PROGRESS_LINE = 200


@dataclass(frozen=True, kw_only=True)
class History:
    """A data set in contract columns, in source order.

    Attributes:
        source: Where it came from, for messages.
        interactions: Contract columns; event_id may be missing (then import, arrival day and number within it make
            one, so that two imports never share any), as may any nullable one; `arrived_on` (date) overrides the
            arrival day.
        users: One row per user, or None; `valid_from` may be missing, and `arrived_on` overrides the arrival day.
        items: One row per item, or None; `arrived_on` likewise.
    """

    source: str
    interactions: pa.Table
    users: pa.Table | None = None
    items: pa.Table | None = None


@dataclass(frozen=True, kw_only=True)
class ImportReport(Artefact):
    """What a data set holds and how much of it is now in raw.

    Attributes:
        days: Every arrival day of the data set, oldest first, those after `until` included.
        days_written: How many of them are now in raw.
    """

    source: str
    num_interactions: int
    num_users: int
    num_items: int
    days: tuple[str, ...]
    days_written: int


def write_history(settings: Settings, history: History, name: str, until: Partition | None = None) -> ImportReport:
    """Write the arrival-day partitions of a history up to and including `until`.

    Repeating it changes no byte; a later `until` adds the days between.

    Args:
        settings: Where raw lies.
        history: The data set.
        name: File name stem within each partition; a second import of that name replaces the days that it has too.
        until: Last arrival day to write; None writes all.

    Returns:
        The days of the history and the rows written.

    Raises:
        AttuneError: No day of the history is at or before `until`.
    """
    events, days = _in_arrival_order(history, name)
    first, last = Partition(_day(days[0])), Partition(_day(days[-1]))
    stop = last if until is None else min(until, last)
    if stop < first:
        raise AttuneError(f"expected days up to {until}, found {history.source} from {first} on; name a later day")
    num_rows = 0
    for done, (partition, rows) in enumerate(_by_day(events, days, stop), start=1):
        _write(settings, RAW_INTERACTIONS.name, partition, name, rows)
        num_rows += rows.num_rows
        if done % _DAYS_PER_PROGRESS_LINE == 0:
            logger.info("wrote %d days of %s, up to %s", done, history.source, partition)
    sides = {RAW_USERS.name: history.users, RAW_ITEMS.name: history.items}
    for table, rows in sides.items():
        for partition, part in _side_days(rows, first, stop):
            _write(settings, table, partition, name, complete(part, table, partition))
    distinct = np.unique(days)
    return ImportReport(
        source=history.source,
        num_interactions=num_rows,
        num_users=history.users.num_rows if history.users is not None else 0,
        num_items=history.items.num_rows if history.items is not None else 0,
        days=tuple(_day(d).isoformat() for d in distinct),
        days_written=int((distinct <= (stop.day - _EPOCH).days).sum()),
    )


def complete(rows: pa.Table, table: str, first: Partition) -> pa.Table:
    """Return contract columns in contract order; absent ones are null, an absent `valid_from` is `first`'s start."""
    schema, columns = arrow_schema(RAW_TABLES[table]), []
    for field in schema:
        if field.name in rows.column_names:
            columns.append(rows[field.name])
        elif field.name == "valid_from":
            columns.append(pa.repeat(pa.scalar(first.starts_at, TIMESTAMP), rows.num_rows))
        else:
            columns.append(pa.nulls(rows.num_rows, field.type))
    return pa.table(columns, names=schema.names)


def order_within_ties(user_ids: pa.ChunkedArray, occurred_at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return times [N] in µs, raised by 0, 1, 2, … µs among equal times of one user, in source order.

    Ratings are often stamped in bulk to the second; sequences would lose their order when they are sorted again.
    """
    users = pd.factorize(user_ids.to_pandas())[0]
    order = np.lexsort((np.arange(len(users)), occurred_at, users))
    tied = (np.diff(users[order]) == 0) & (np.diff(occurred_at[order]) == 0)
    position = np.arange(len(users))
    run_starts = np.concatenate(([True], ~tied)) if len(users) else np.zeros(0, dtype=bool)
    start = np.maximum.accumulate(np.where(run_starts, position, 0)) if len(users) else position
    raised = occurred_at.copy()
    raised[order] += position - start
    return raised


def _in_arrival_order(history: History, name: str) -> tuple[pa.Table, NDArray[np.int64]]:
    events = history.interactions
    stamps = events["occurred_at"].cast(pa.int64()).to_numpy()
    stamps = order_within_ties(events["user_id"], stamps)
    at = events.column_names.index("occurred_at")
    events = events.set_column(at, "occurred_at", pa.array(stamps).cast(TIMESTAMP))
    days = stamps // _MICROS_PER_DAY
    if ARRIVED_ON in events.column_names:
        days = pc.cast(pc.cast(events[ARRIVED_ON], pa.date32()), pa.int32()).to_numpy().astype(np.int64)
    if "event_id" not in events.column_names:
        events = events.append_column("event_id", _event_ids(name, days))
    order = np.lexsort((np.arange(len(days)), stamps, days))
    return complete(events, RAW_INTERACTIONS.name, Partition(_EPOCH)).take(order), days[order]


def _event_ids(name: str, days: NDArray[np.int64]) -> pa.Array:
    numbers = pd.Series(days).groupby(days).cumcount()
    dates = days.astype("datetime64[D]").astype(str)
    return pa.array([f"{name}-{day}-{number:09d}" for day, number in zip(dates, numbers, strict=True)], pa.string())


def _by_day(events: pa.Table, days: NDArray[np.int64], stop: Partition) -> Iterator[tuple[Partition, pa.Table]]:
    starts = np.flatnonzero(np.concatenate(([True], np.diff(days) != 0)))
    ends = np.append(starts[1:], len(days))
    flat = events.combine_chunks()
    for start, end in zip(starts, ends, strict=True):
        partition = Partition(_day(days[start]))
        if partition > stop:
            return
        yield partition, flat.slice(start, end - start)


def _side_days(rows: pa.Table | None, first: Partition, stop: Partition) -> Iterator[tuple[Partition, pa.Table]]:
    if rows is None:
        return
    if ARRIVED_ON not in rows.column_names:
        yield first, rows
        return
    for day in sorted(set(rows[ARRIVED_ON].to_pylist())):
        if Partition(day) <= stop:
            yield Partition(day), rows.filter(pc.equal(rows[ARRIVED_ON], pa.scalar(day)))


def _write(settings: Settings, table: str, partition: Partition, name: str, rows: pa.Table) -> None:
    path = settings.raw_dir(table) / f"dt={partition}" / f"{name}.parquet"
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd")
    content = sink.getvalue().to_pybytes()
    if path.is_file() and path.read_bytes() == content:
        return
    with replace_file(path) as temporary:
        temporary.write_bytes(content)


def _day(number: int) -> date:
    return _EPOCH + timedelta(days=int(number))
