"""Put events that share an instant into order, number them, and give each row its arrival day."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.contracts.columns import RAW_TABLES
from training.contracts.partitions import Partition
from training.ingest.conversion import TIMESTAMP
from training.storage import arrow_schema

EPOCH = date(1970, 1, 1)
MICROS_PER_DAY = 86_400_000_000
_NUMBER_WIDTH = 9


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


def raise_ties(rows: pa.Table) -> pa.Table:
    """Return rows whose ties are put into order, sorted by time.

    Args:
        rows: user_id, `stamp` (µs), `place` (row number in the source) and `tie` (a hash of user and time), any order.
    """
    ties = rows["tie"].to_numpy()
    ordered = np.sort(ties)
    shared = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    at, place = rows["stamp"].to_numpy().copy(), rows["place"].to_numpy()
    if len(shared):
        some = np.flatnonzero(np.isin(ties, shared))
        some = some[np.argsort(place[some], kind="stable")]
        at[some] = order_within_ties(rows["user_id"].take(pa.array(some)), at[some])
        rows = rows.set_column(rows.column_names.index("stamp"), "stamp", pa.array(at))
    if (np.diff(at) < 0).any() or not _are_in_order(at, place):
        order = np.argsort(at, kind="stable")  # nearly sorted already, which a stable sort is quick at
        if not _are_in_order(at[order], place[order]):
            order = np.lexsort((place, at))
        rows = rows.take(pa.array(order))
    return rows


def _are_in_order(at: NDArray[np.int64], place: NDArray[np.int64]) -> bool:
    """Whether rows of one time stand in the source's order."""
    return not ((np.diff(at) == 0) & (np.diff(place) < 0)).any()


def event_ids(name: str, day: date, place: NDArray[np.int64]) -> pa.Array:
    """Return an id for each event of a day: the import, the day, and the event's number in source order."""
    numbers = np.arange(len(place))
    if (np.diff(place) < 0).any():
        numbers = np.empty(len(place), np.int64)
        numbers[np.argsort(place, kind="stable")] = np.arange(len(place))
    padded = pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), _NUMBER_WIDTH, "0")
    return pc.binary_join_element_wise(pa.scalar(f"{name}-{day}"), padded, "-")


def side_arrivals(
    days: NDArray[np.int64], came: NDArray[np.float64], seen: NDArray[np.float64] | None = None
) -> NDArray[np.int64]:
    """Return the arrival day [N] of users or items, as a day number.

    Args:
        days: Day numbers on which interactions arrive, ascending.
        came: Day number on which each one came into being; NaN if nobody tells.
        seen: Day number of the first interaction with each; NaN without one. Whoever occurred is there.

    Returns:
        The first day for what was there before the log, or when nobody tells; else the first day of the log on or
        after it came; the last day for what came after the log.
    """
    place = np.searchsorted(days, np.nan_to_num(came, nan=-np.inf))
    arrival = days[np.minimum(place, len(days) - 1)]
    if seen is not None:
        arrival = np.minimum(arrival, np.where(np.isnan(seen), arrival, seen)).astype(np.int64)
    return arrival


def day_of(number: int) -> date:
    """Return the day of a day number."""
    return EPOCH + timedelta(days=int(number))
