"""Count what became of every staged row, keep the rejected ones, and stop where they are too many."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from training.contracts.columns import EVENT_TYPES, RAW_INTERACTIONS
from training.contracts.errors import AttuneError, ContractViolation
from training.ingest.column_map import ColumnMap
from training.ingest.contract_sql import SOURCE_TYPE
from training.ingest.quarantine import SCHEMA
from training.ingest.reasons import ANONYMOUS, EVENT_TYPE, FIRST_OF, REMEDIES, WHERE
from training.ingest.staging import StagedTable, Workspace
from training.settings import Settings
from training.storage import write_parquet

_RULES = (ANONYMOUS, WHERE, FIRST_OF)
_FEW = 20
"""A type with fewer rows stops an import only if it is lost whole."""


@dataclass
class Counts:
    """Rows read, and what became of them."""

    to_raw: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def read(self) -> int:
        """How many there were, by what became of them."""
        return self.to_raw + sum(self.rejected.values()) + sum(self.dropped.values())

    def add(self, reason: str, number: int, is_rule: bool) -> None:
        """Count rows; an empty reason is none."""
        if not reason:
            self.to_raw += number
            return
        counts = self.dropped if is_rule else self.rejected
        counts[reason] = counts.get(reason, 0) + number


def resolve_event_types(place: Workspace, columns: ColumnMap, is_guess: str | None) -> dict[str, str | None]:
    """Return the contract's event type by the source's; None for those that the map drops.

    Args:
        place: Where interactions are staged.
        columns: The column map.
        is_guess: The source column that was guessed to hold the type, None if the map names it.

    Raises:
        AttuneError: A type is none of the contract's and the map does not say what it becomes.
    """
    rows = place.connection.execute(
        f"select {SOURCE_TYPE}, count(*) as number from staged_interactions where verdict = 0 group by 1 "
        "order by 2 desc, 1"
    ).fetchall()
    found: dict[str, str | None] = {}
    unknown: list[tuple[str, int]] = []
    for source, number in rows:
        if source in columns.event_types:
            found[source] = columns.event_types[source]
        elif source.lower() in EVENT_TYPES:
            found[source] = source.lower()
        else:
            unknown.append((source, number))
    if unknown:
        shown = ", ".join(f"{name!r} ({number} rows)" for name, number in unknown[:5])
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        lines = ", ".join(f"{name}: {_meant(name)}" for name, _ in unknown[:5])
        omit = f"; or leave the column out: interactions: {{omit: [{is_guess}]}}" if is_guess else ""
        raise AttuneError(
            f"expected event types among {', '.join(EVENT_TYPES)}, found {shown}{more}; say in the column map "
            f"(COLUMNS=map.yaml) what each becomes, or drop: event_types: {{{lines}}}{omit}"
        )
    return found


def _meant(name: str) -> str:
    plain = name.lower().replace("_", "").replace(" ", "").replace("-", "")
    meanings = {
        "purchase": ("transaction", "order", "buy", "bought", "checkout", "pay"),
        "save": ("addtocart", "cart", "wishlist", "basket", "bookmark", "addtowishlist"),
        "view": ("pv", "pageview", "detail", "impression", "show"),
        "like": ("fav", "favorite", "favourite", "upvote"),
        "play": ("listen", "watch", "stream"),
        "rating": ("rate", "review"),
    }
    return next((meant for meant, words in meanings.items() if plain in words), "drop")


def count_files(place: Workspace, staged: StagedTable, event_types: Mapping[str, str | None]) -> list[Counts]:
    """Return what became of the rows of each file, its lines that are no rows included."""
    counts = [Counts() for _ in staged.files]
    for file, verdict, source_type, number in _grouped(place, staged):
        reason, is_rule = _reason(staged, verdict, source_type, event_types)
        counts[file].add(reason, number, is_rule)
    for one, lines in zip(counts, staged.lines, strict=True):
        for line in lines:
            one.add(line.reason, 1, False)
    return counts


def count_types(place: Workspace, staged: StagedTable, event_types: Mapping[str, str | None]) -> dict[str, Counts]:
    """Return what became of the rows of each of the source's event types."""
    counts: dict[str, Counts] = {}
    for _, verdict, source_type, number in _grouped(place, staged):
        reason, is_rule = _reason(staged, verdict, source_type, event_types)
        counts.setdefault(source_type or "(none)", Counts()).add(reason, number, is_rule)
    return dict(sorted(counts.items(), key=lambda pair: -pair[1].read))


def _grouped(place: Workspace, staged: StagedTable) -> list[tuple[int, int, str | None, int]]:
    """Rows by file, verdict and event type, counted once: staged rows do not change."""
    if staged.grouped is None:
        staged.grouped = _group(place, staged)
    return staged.grouped


def _group(place: Workspace, staged: StagedTable) -> list[tuple[int, int, str | None, int]]:
    kind = SOURCE_TYPE if staged.table is RAW_INTERACTIONS else "null"
    rows: list[tuple[int, int, str | None, int]] = place.connection.execute(
        f"select file, verdict, {kind} as kind, count(*) from staged_{staged.table.name} group by all order by all"
    ).fetchall()
    return rows


def _reason(
    staged: StagedTable, verdict: int, source_type: str | None, event_types: Mapping[str, str | None]
) -> tuple[str, bool]:
    reason, column = staged.verdicts[verdict]
    if reason in _RULES:
        return reason, True
    if not reason and source_type is not None and event_types.get(source_type, source_type) is None:
        return f"{EVENT_TYPE} {source_type}", True
    return (f"{reason} ({column})" if column else reason), False


def rejected_rows(place: Workspace, staged: StagedTable) -> pa.Table:
    """Return every row and line that was rejected, as quarantine keeps them."""
    codes = [code for code, (reason, _) in enumerate(staged.verdicts) if reason and reason not in _RULES]
    listed = ", ".join(map(str, codes)) or "-1"
    name = f"staged_{staged.table.name}"
    rows = place.connection.execute(
        f"select file, rowid - first + 1, verdict, raw from {name} join (select file, min(rowid) as first from {name} "
        f"group by file) using (file) where verdict in ({listed}) order by {name}.rowid"
    ).fetchall()
    source_of = {one.column: one.source for one in staged.mapped}
    records = [_record(staged, file, row, verdict, raw, source_of) for file, row, verdict, raw in rows]
    for source, lines in zip(staged.files, staged.lines, strict=True):
        records += [
            {
                "reason": line.reason,
                "column": "",
                "value": None,
                "file": str(source.path),
                "row": line.line,
                "remedy": REMEDIES.get(line.reason, "correct the line"),
                "raw": line.text,
            }
            for line in lines
        ]
    return pa.Table.from_pylist(records, schema=SCHEMA)


def _record(
    staged: StagedTable, file: int, row: int, verdict: int, raw: str, source_of: Mapping[str, str | None]
) -> dict[str, Any]:
    reason, column = staged.verdicts[verdict]
    came = json.loads(raw)
    value = came.get(source_of.get(column) or "")
    return {
        "reason": reason,
        "column": column,
        "value": None if value is None else str(value),
        "file": str(staged.files[file].path),
        "row": row,
        "remedy": REMEDIES[reason],
        "raw": raw,
    }


def require_few(
    allowed: float, staged: StagedTable, rejected: pa.Table, files: list[Counts], types: Mapping[str, Counts]
) -> None:
    """Stop where too large a share of a file's, or of an event type's, rows was rejected.

    Raises:
        ContractViolation: The share is above `allowed`; names the worst reason, an example and a remedy.
    """
    groups = [(f"rows of {source.path}", one) for source, one in zip(staged.files, files, strict=False)]
    groups += [
        (f"rows of event type {name!r}", one) for name, one in types.items() if one.read >= _FEW or not one.to_raw
    ]
    for what, one in groups:
        lost = sum(one.rejected.values())
        if lost <= allowed * one.read:
            continue
        reason = max(one.rejected, key=lambda name: one.rejected[name])
        example = next(row for row in rejected.to_pylist() if _named(row) == reason)
        raise ContractViolation(
            f"expected at most {allowed:.1%} of the {what} to be rejected, found {lost} of {one.read}; most often "
            f"{example['reason']} ({one.rejected[reason]} rows): {_shown(staged, example)}; "
            f"{_remedy(staged, example)}"
        )


def _named(row: Mapping[str, Any]) -> str:
    return f"{row['reason']} ({row['column']})" if row["column"] else str(row["reason"])


def _shown(staged: StagedTable, row: Mapping[str, Any]) -> str:
    if not row["column"]:
        return f"line {row['row']} of {row['file']}, {str(row['raw'])[:80]!r}"
    source = next((one.source for one in staged.mapped if one.column == row["column"]), None)
    read = f" (read from {source!r})" if source not in (None, row["column"]) else ""
    value = row["value"]
    text = repr(value) if value is None or len(value) <= 80 else f"{value[:80]!r}..."
    return f"column {row['column']} of {row['file']}, found {text} in data row {row['row']}{read}"


def _remedy(staged: StagedTable, row: Mapping[str, Any]) -> str:
    return f"{row['remedy']} (in the column map, COLUMNS=map.yaml, under {staged.table.name})"


def write_rejected(settings: Settings, name: str, staged: StagedTable, rejected: pa.Table) -> None:
    """Keep the rejected rows of one import and table under `quarantine/imports/`, replacing those of the last one."""
    path = settings.home / "quarantine" / "imports" / name / f"{staged.table.name}.parquet"
    if rejected.num_rows:
        write_parquet(rejected, path)
    else:
        path.unlink(missing_ok=True)
