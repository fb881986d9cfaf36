"""Say what an import read, and what became of every row of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from training.contracts.artefacts import Artefact


@dataclass(frozen=True, kw_only=True)
class ImportReport(Artefact):
    """What a data set holds and how much of it is now in raw.

    Attributes:
        days: Every arrival day of the data set, oldest first, those after `until` included.
        days_written: How many of them are now in raw.
        files: Per file: table, rows read, to raw, rejected by reason, dropped by rule, how it is written, and the
            columns that nothing was read from. Rows read = to raw + rejected + dropped.
        event_types: Per event type of the source: the contract's, and the same counts.
        columns: Per contract column: table, source column (None for a constant), "map", "guess" or "constant", samples.
        first: Time of the first event; `last` of the last.
        unread_files: Files beside the log that were not read.
        notes: What someone should know, such as a column that was left out.
        is_preview: Nothing was written.
    """

    source: str
    num_interactions: int
    num_users: int
    num_items: int
    days: tuple[str, ...]
    days_written: int
    files: tuple[Mapping[str, Any], ...] = ()
    event_types: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    columns: tuple[Mapping[str, Any], ...] = ()
    first: str = ""
    last: str = ""
    unread_files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    is_preview: bool = False

    def text(self) -> str:
        """Return the report for people."""
        head = f"Import of {self.source}" + (" (preview: nothing was written)" if self.is_preview else "")
        span = f"{self.first} to {self.last}, {len(self.days)} days with interactions" if self.first else "no events"
        parts = [head, span, "", *self._file_lines(), "", *self._type_lines(), "", *self._column_lines()]
        if self.unread_files:
            parts += ["", f"files left unread: {', '.join(self.unread_files)}"]
        parts += ["", *(f"note: {note}" for note in self.notes)] if self.notes else []
        return "\n".join(parts)

    def _file_lines(self) -> list[str]:
        head = ["file", "table", "rows read", "to raw", "rejected", "dropped", "written as"]
        rows = [
            [
                one["file"],
                one["table"],
                one["read"],
                one["to_raw"],
                _counts(one["rejected"]),
                _counts(one["dropped"]),
                _format(one["format"]),
            ]
            for one in self.files
        ]
        unread = [
            f"columns left unread in {one['file']}: {', '.join(one['unread_columns'])}"
            for one in self.files
            if one["unread_columns"]
        ]
        return [*table_lines(head, rows), *unread]

    def _type_lines(self) -> list[str]:
        head = ["event type", "becomes", "rows read", "to raw", "rejected", "dropped"]
        rows = [
            [name, one["becomes"] or "(dropped)", one["read"], one["to_raw"], one["rejected"], one["dropped"]]
            for name, one in self.event_types.items()
        ]
        return table_lines(head, rows)

    def _column_lines(self) -> list[str]:
        head = ["table", "column", "from", "by", "such as"]
        rows = [
            [one["table"], one["column"], one["source"] or "-", one["by"], ", ".join(map(repr, one["samples"]))]
            for one in self.columns
        ]
        return table_lines(head, rows)


def table_lines(head: list[str], rows: list[list[Any]]) -> list[str]:
    """Return a table as lines of text."""
    texts = [head, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in texts) for place in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in texts]


def _counts(counts: Mapping[str, int]) -> str:
    if not counts:
        return "0"
    return f"{sum(counts.values())} ({'; '.join(f'{reason}: {number}' for reason, number in counts.items())})"


def _format(described: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value!r}" if name != "form" else value for name, value in described.items())
