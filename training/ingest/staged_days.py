"""Write staged tables as arrival days, some days at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.contracts.columns import RAW_INTERACTIONS, RAW_ITEMS, RAW_TABLES, RAW_USERS
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.ingest.arrival_days import EPOCH, MICROS_PER_DAY, complete, day_of, event_ids, raise_ties, side_arrivals
from training.ingest.column_names import ARRIVED_ON
from training.ingest.contract_sql import SOURCE_TYPE
from training.ingest.conversion import TIMESTAMP
from training.ingest.day_files import DayFiles
from training.ingest.expressions import literal
from training.ingest.staging import Workspace
from training.storage import arrow_schema

logger = logging.getLogger(__name__)
_ROWS_AT_ONCE = 1_000_000
_DAYS_PER_PROGRESS_LINE = 200
_CAME = {RAW_USERS.name: "signed_up_at", RAW_ITEMS.name: "created_at"}


@dataclass(frozen=True)
class WrittenDays:
    """What was written.

    Attributes:
        days: Every arrival day of the interactions, oldest first, those after `until` included.
        num_days: How many of them were written.
        rows: Rows written, by table.
        num_later: Interactions of days after `until`.
        later_signups: Users whose sign-up comes after the last day; it was left out.
    """

    days: tuple[date, ...]
    num_days: int
    rows: dict[str, int]
    num_later: int = 0
    later_signups: int = 0


def write_staged(
    place: Workspace,
    files: DayFiles,
    source: str,
    until: Partition | None = None,
    event_types: Mapping[str, str | None] | None = None,
) -> WrittenDays:
    """Write what is staged and has no verdict.

    Args:
        place: Where it is staged.
        files: Where to write.
        source: For messages.
        until: Last arrival day to write; None writes all.
        event_types: Contract event type by the source's, None for those that are dropped; without it each is its own.

    Raises:
        AttuneError: Nothing is left to write, or no day is at or before `until`.
    """
    days, counts = [], {}
    with ThreadPoolExecutor(1) as pool:
        pending = []
        for day, rows in _interaction_days(place, files.name, event_types or {}):
            days.append(day)
            counts[day] = rows.num_rows
            if until is None or Partition(day) <= until:
                pending.append(pool.submit(files.write, RAW_INTERACTIONS.name, Partition(day), rows))
            del rows
            while len(pending) > 2:
                pending.pop(0).result()
            if len(days) % _DAYS_PER_PROGRESS_LINE == 0:
                logger.info("wrote %d days of %s, up to %s", len(days), source, day)
        for one in pending:
            one.result()
    if not days:
        raise AttuneError(f"expected interactions in {source}, found none that can be kept; correct the column map")
    stop = Partition(days[-1]) if until is None else until
    if Partition(days[0]) > stop:
        raise AttuneError(f"expected days up to {until}, found {source} from {days[0]} on; name a later day")
    kept = [day for day in days if Partition(day) <= stop]
    rows = {RAW_INTERACTIONS.name: sum(counts[day] for day in kept)}
    later = 0
    for table in _CAME:
        rows[table], late = _write_sides(place, files, table, days, stop)
        later += late if table == RAW_USERS.name else 0
    num_later = sum(counts.values()) - rows[RAW_INTERACTIONS.name]
    return WrittenDays(tuple(days), len(kept), rows, num_later, later)


def is_staged(place: Workspace, table: str) -> bool:
    """Return whether a table was staged."""
    return (f"staged_{table}",) in place.connection.execute("show tables").fetchall()


def _interaction_days(
    place: Workspace, name: str, event_types: Mapping[str, str | None]
) -> Iterator[tuple[date, pa.Table]]:
    """Yield each arrival day with its rows in contract columns, in order of time; ties keep the source's order."""
    (told, own) = _one(place, f"select count({ARRIVED_ON}), count(event_id) from staged_interactions")
    day = ARRIVED_ON if told else "occurred_at::date"
    if told:
        _order_all_ties(place)
    carried = None
    for first, last in _chunks(place, day, event_types):
        rows = _fetch(place, day, first, last, event_types, bool(told))
        rows = raise_ties(rows) if not told else rows
        if carried is not None:
            rows = pa.concat_tables([carried, rows])
            rows = rows.take(pa.array(np.lexsort((rows["place"].to_numpy(), rows["stamp"].to_numpy()))))
        numbers = rows["day"].to_numpy() if told else rows["stamp"].to_numpy() // MICROS_PER_DAY
        late = numbers > (last - EPOCH).days
        carried = rows.filter(pa.array(late)) if late.any() else None
        yield from _split(rows.filter(pa.array(~late)) if late.any() else rows, numbers[~late], name, bool(own))
    if carried is not None:
        yield from _split(carried, carried["stamp"].to_numpy() // MICROS_PER_DAY, name, bool(own))


def _chunks(place: Workspace, day: str, event_types: Mapping[str, str | None]) -> Iterator[tuple[date, date]]:
    """First and last day of runs of days that hold about as many rows as fit in memory well."""
    counted = place.connection.execute(
        f"select {day} as day, count(*) from staged_interactions where {_kept(event_types)} group by day order by day"
    ).fetchall()
    first, total = None, 0
    for number, (at, rows) in enumerate(counted):
        first, total = first or at, total + rows
        if total >= _ROWS_AT_ONCE or number == len(counted) - 1:
            yield first, at
            first, total = None, 0


def _kept(event_types: Mapping[str, str | None]) -> str:
    dropped = ", ".join(literal(source) for source, target in event_types.items() if target is None)
    return "verdict = 0" + (f" and {SOURCE_TYPE} not in ({dropped})" if dropped else "")


def _fetch(
    place: Workspace, day: str, first: date, last: date, event_types: Mapping[str, str | None], told: bool
) -> pa.Table:
    renamed = " ".join(
        f"when {literal(source)} then {literal(str(target))}"
        for source, target in event_types.items()
        if target not in (None, source)
    )
    event_type = f"case {SOURCE_TYPE} {renamed} else {SOURCE_TYPE} end" if renamed else SOURCE_TYPE
    raised = " + coalesce(raised, 0)" if told else ""
    ties = " left join raised_ties on raised_ties.place = staged_interactions.rowid" if told else ""
    stamp = f"epoch_us(occurred_at){raised}"
    return place.connection.sql(
        f"select event_id, user_id, item_id, {event_type} as event_type, event_value, session_id, surface, "
        f"{stamp} as stamp, staged_interactions.rowid as place, hash(user_id, occurred_at) as tie, "
        f"{day} - date '1970-01-01' as day "
        f"from staged_interactions{ties} where {_kept(event_types)} and {day} between date '{first}' and date '{last}' "
        f"order by {'day, ' if told else ''}stamp, place"
    ).to_arrow_table()


def _order_all_ties(place: Workspace) -> None:
    """Where the source tells arrival days, events of one instant may arrive on several: they are ordered together."""
    place.connection.execute(
        "create table raised_ties as select rowid as place, row_number() over (partition by user_id, occurred_at "
        "order by rowid) - 1 as raised from staged_interactions where verdict = 0 qualify raised > 0"
    )


def _split(rows: pa.Table, numbers: NDArray[np.int64], name: str, own: bool) -> Iterator[tuple[date, pa.Table]]:
    changes = np.concatenate(([True], np.diff(numbers) != 0))[: len(numbers)]
    starts = np.flatnonzero(changes).tolist()
    flat, places = rows.combine_chunks(), rows["place"].to_numpy()
    for start, end in zip(starts, [*starts[1:], len(numbers)], strict=True):
        day, part = day_of(numbers[start]), flat.slice(start, end - start)
        names = [name for name in RAW_INTERACTIONS.column_names if name in part.column_names]
        columns = {name: part[name] for name in names}
        columns["occurred_at"] = part["stamp"].cast(TIMESTAMP)
        if not own:
            columns["event_id"] = event_ids(name, day, places[start:end])
        yield day, complete(pa.table(columns), RAW_INTERACTIONS.name, Partition(EPOCH))


def _write_sides(place: Workspace, files: DayFiles, table: str, days: list[date], stop: Partition) -> tuple[int, int]:
    """Write users or items under their arrival days; return how many were, and how many came after the log."""
    if not is_staged(place, table):
        return 0, 0
    rows = place.connection.sql(f"select * from staged_{table} where verdict = 0 order by rowid").to_arrow_table()
    numbers = np.array([(day - EPOCH).days for day in days])
    came = _day_numbers(rows, _CAME[table])
    seen = _first_seen(place, rows) if table == RAW_ITEMS.name and (came > numbers[0]).any() else None
    arrival = side_arrivals(numbers, came, seen)
    told = _day_numbers(rows, ARRIVED_ON)
    arrival = np.where(np.isnan(told), arrival, told).astype(np.int64)
    typed, late = _typed(rows, table), 0
    if table == RAW_USERS.name:
        too_late = (came > arrival) & np.isnan(told)
        late = int(too_late.sum())
        if late:
            kept = pa.array(np.where(too_late, None, typed["signed_up_at"].to_pylist()), TIMESTAMP)
            typed = typed.set_column(typed.column_names.index("signed_up_at"), "signed_up_at", kept)
    written = 0
    for number in np.unique(arrival):
        partition = Partition(day_of(number))
        if partition <= stop:
            part = typed.filter(pa.array(arrival == number))
            files.write(table, partition, complete(part, table, partition))
            written += part.num_rows
    return written, late


def staged_side(place: Workspace, table: str) -> pa.Table:
    """Return staged users or items that have no verdict, in the contract's types; absent columns are left out."""
    return _typed(
        place.connection.sql(f"select * from staged_{table} where verdict = 0 order by rowid").to_arrow_table(), table
    )


def _day_numbers(rows: pa.Table, name: str) -> NDArray[np.float64]:
    if name not in rows.column_names:
        return np.full(rows.num_rows, np.nan)
    days = rows[name].cast(pa.timestamp("us")).to_numpy().astype("datetime64[D]")
    return np.where(np.isnat(days), np.nan, days.astype(np.int64))


def _first_seen(place: Workspace, rows: pa.Table) -> NDArray[np.float64]:
    found = place.connection.sql(
        f"select min(coalesce(events.{ARRIVED_ON}, events.occurred_at::date)) - date '1970-01-01' as day "
        "from staged_items as items "
        "left join (select * from staged_interactions where verdict = 0) as events using (item_id) "
        "where items.verdict = 0 group by items.rowid order by items.rowid"
    ).to_arrow_table()
    return np.asarray(found["day"].to_pandas(), dtype=np.float64)


def _typed(rows: pa.Table, table: str) -> pa.Table:
    schema = arrow_schema(RAW_TABLES[table])
    names = [name for name in schema.names if name in rows.column_names]
    return pa.table([rows[name].cast(schema.field(name).type) for name in names], names=names)


def _one(place: Workspace, query: str) -> tuple[int, ...]:
    (row,) = place.connection.execute(query).fetchall()
    return tuple(row)
