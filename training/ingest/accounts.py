"""Account for every row of an import: what was read, what became of it, and that the two agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from training.contracts.columns import RAW_INTERACTIONS, RAW_ITEMS, RAW_USERS
from training.contracts.errors import AttuneError
from training.ingest.column_map import ColumnMap
from training.ingest.contract_sql import SOURCE_TYPE
from training.ingest.expressions import identifier
from training.ingest.import_report import ImportReport
from training.ingest.staged_days import WrittenDays
from training.ingest.staging import StagedTable, Workspace
from training.ingest.verdicts import (
    Counts,
    count_files,
    count_types,
    rejected_rows,
    require_few,
    resolve_event_types,
    write_rejected,
)
from training.settings import Settings

_SAMPLES = 3


@dataclass(frozen=True)
class Accounts:
    """What became of the rows of a log.

    Attributes:
        files: Counts by table, one per file.
        types: Counts by the source's event type.
        event_types: The contract's event type by the source's, None for dropped ones.
        rejected: The rejected rows by table.
    """

    tables: Mapping[str, StagedTable]
    files: Mapping[str, list[Counts]]
    types: Mapping[str, Counts]
    event_types: Mapping[str, str | None]
    rejected: Mapping[str, pa.Table]

    def keep_rejected(self, settings: Settings, name: str) -> None:
        """Keep the rejected rows of this import, and none of an earlier one."""
        for table, rows in self.rejected.items():
            write_rejected(settings, name, self.tables[table], rows)


def account(place: Workspace, tables: Mapping[str, StagedTable], columns: ColumnMap, allowed: float) -> Accounts:
    """Return what will become of each staged row.

    Raises:
        AttuneError: An event type is unknown, or a file holds no rows.
        ContractViolation: More than `allowed` of the rows of a file or an event type were rejected.
    """
    files = {name: count_files(place, staged, {}) for name, staged in tables.items()}
    rejected = {name: rejected_rows(place, staged) for name, staged in tables.items()}
    for name, staged in tables.items():
        for source, one in zip(staged.files, files[name], strict=True):
            if not one.read:
                raise AttuneError(f"expected rows in {source.path}, found only a header; give a file with rows")
        require_few(allowed, staged, rejected[name], files[name], {})
    events = tables[RAW_INTERACTIONS.name]
    guessed = next((one.source for one in events.mapped if one.column == "event_type" and one.guessed), None)
    event_types = resolve_event_types(place, columns, guessed)
    files[RAW_INTERACTIONS.name] = count_files(place, events, event_types)
    types = count_types(place, events, event_types)
    require_few(allowed, events, rejected[RAW_INTERACTIONS.name], [], types)
    return Accounts(tables, files, types, event_types, rejected)


def report_of(
    place: Workspace,
    source: Path,
    tables: Mapping[str, StagedTable],
    accounts: Accounts,
    written: WrittenDays,
    unread: tuple[str, ...],
    is_preview: bool,
) -> ImportReport:
    """Return the report of an import.

    Raises:
        AttuneError: The rows written are not those that were accounted for: a fault of ours.
    """
    _require_identity(place, tables, accounts, written)
    first, last = _span(place)
    notes = [note for staged in tables.values() for note in staged.notes]
    if written.num_later:
        notes.append(f"{written.num_later} interactions of later days are not in raw yet")
    if written.later_signups:
        notes.append(f"{written.later_signups} users sign up after the log's last day; their signed_up_at was left out")
    return ImportReport(
        source=str(source),
        num_interactions=written.rows[RAW_INTERACTIONS.name],
        num_users=sum(one.to_raw for one in accounts.files.get(RAW_USERS.name, [])),
        num_items=sum(one.to_raw for one in accounts.files.get(RAW_ITEMS.name, [])),
        days=tuple(day.isoformat() for day in written.days),
        days_written=written.num_days,
        files=tuple(row for name in tables for row in _file_rows(tables[name], accounts.files[name])),
        event_types=_type_rows(accounts),
        columns=tuple(row for staged in tables.values() for row in _column_rows(place, staged)),
        first=first,
        last=last,
        unread_files=unread,
        notes=tuple(notes),
        is_preview=is_preview,
    )


def _require_identity(
    place: Workspace, tables: Mapping[str, StagedTable], accounts: Accounts, written: WrittenDays
) -> None:
    """Rows read = to raw + rejected + dropped, for each file; and what was to go to raw is what was written."""
    for name, staged in tables.items():
        for number, (source, one) in enumerate(zip(staged.files, accounts.files[name], strict=True)):
            query = f"select count(*) from staged_{name} where file = {number}"
            ((rows,),) = place.connection.execute(query).fetchall()
            read = rows + len(staged.lines[number])
            if read != one.read:
                raise AttuneError(f"expected {read} rows of {source.path} to be accounted for, found {one.read}")
    events = RAW_INTERACTIONS.name
    to_raw = sum(one.to_raw for one in accounts.files[events])
    by_type = sum(one.to_raw for one in accounts.types.values())
    found = written.rows[events] + written.num_later
    if not to_raw == by_type == found:
        raise AttuneError(f"expected {to_raw} interactions in raw, found {found} written and {by_type} by event type")


def _span(place: Workspace) -> tuple[str, str]:
    ((first, last),) = place.connection.execute(
        "select min(occurred_at), max(occurred_at) from staged_interactions where verdict = 0"
    ).fetchall()
    return (f"{first.isoformat()}Z", f"{last.isoformat()}Z") if first and last else ("", "")


def _file_rows(staged: StagedTable, counts: list[Counts]) -> list[dict[str, Any]]:
    return [
        {
            "file": source.path.name,
            "table": staged.table.name,
            "read": one.read,
            "to_raw": one.to_raw,
            "rejected": dict(one.rejected),
            "dropped": dict(one.dropped),
            "format": dict(source.format),
            "unread_columns": list(unread),
        }
        for source, one, unread in zip(staged.files, counts, staged.unread, strict=True)
    ]


def _type_rows(accounts: Accounts) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "becomes": accounts.event_types.get(name),
            "read": one.read,
            "to_raw": one.to_raw,
            "rejected": sum(one.rejected.values()),
            "dropped": sum(one.dropped.values()),
        }
        for name, one in accounts.types.items()
    }


def _column_rows(place: Workspace, staged: StagedTable) -> list[dict[str, Any]]:
    rows = []
    for one in staged.mapped:
        name = SOURCE_TYPE if one.column == "event_type" else one.column
        by = "constant" if one.source is None else "guess" if one.guessed else "map"
        found = place.connection.execute(
            f"select distinct cell::varchar from (select {identifier(name)} as cell from staged_{staged.table.name} "
            f"where verdict = 0 and {identifier(name)} is not null limit 1000) limit {_SAMPLES}"
        ).fetchall()
        samples = sorted(value for (value,) in found)
        rows.append(
            {"table": staged.table.name, "column": one.column, "source": one.source, "by": by, "samples": samples}
        )
    return rows
