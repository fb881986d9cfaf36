"""Write a data set's history as the arrival-day partitions that a live log would have left.

History has no arrival times: every event arrives on its own day, users and items on the first day of the log or, if
they came into being during it, on that day, unless the data set says when.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from training.contracts.columns import RAW_INTERACTIONS, RAW_ITEMS, RAW_TABLES, RAW_USERS
from training.contracts.partitions import Partition
from training.ingest.arrival_days import complete, order_within_ties
from training.ingest.column_names import ARRIVED_ON
from training.ingest.contract_sql import SOURCE_TYPE
from training.ingest.day_files import DayFiles
from training.ingest.import_report import ImportReport
from training.ingest.staged_days import write_staged
from training.ingest.staging import Workspace, workspace
from training.settings import Settings

__all__ = ["ARRIVED_ON", "History", "ImportReport", "complete", "order_within_ties", "stage_history", "write_history"]


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
    files = DayFiles(settings, name)
    with workspace() as place:
        stage_history(place, history)
        written = write_staged(place, files, history.source, until)
    files.mark()
    return ImportReport(
        source=history.source,
        num_interactions=written.rows[RAW_INTERACTIONS.name],
        num_users=history.users.num_rows if history.users is not None else 0,
        num_items=history.items.num_rows if history.items is not None else 0,
        days=tuple(day.isoformat() for day in written.days),
        days_written=written.num_days,
    )


def stage_history(place: Workspace, history: History) -> None:
    """Stage the tables of a history as if they had been read from files without a fault."""
    tables = {RAW_INTERACTIONS: history.interactions, RAW_USERS: history.users, RAW_ITEMS: history.items}
    for table, rows in tables.items():
        if rows is None:
            continue
        names = [*RAW_TABLES[table.name].column_names, ARRIVED_ON]
        values = {name: f'"{name}"' if name in rows.column_names else "" for name in names}
        if table is RAW_INTERACTIONS:
            kinds = {"event_value": "double", ARRIVED_ON: "date"}
            values = {name: sql or f"null::{kinds.get(name, 'varchar')}" for name, sql in values.items()}
            values["occurred_at"] = "occurred_at::timestamp"
            values[SOURCE_TYPE] = values.pop("event_type")
        listed = ", ".join(f'{sql} as "{name}"' for name, sql in values.items() if sql)
        place.connection.register("history_rows", rows)
        place.connection.execute(
            f"create table staged_{table.name} as select 0::usmallint as file, 0::utinyint as verdict, "
            f"null::varchar as raw, {listed} from history_rows"
        )
        place.connection.unregister("history_rows")
