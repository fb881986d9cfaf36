"""Stop a day of which too much may not land: of all rows, of one event type, or of one column's cells."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pyarrow.compute as pc

from training.contracts.columns import EVENT_TYPES, Table
from training.contracts.errors import ContractViolation
from training.contracts.partitions import Partition
from training.ingest.quarantine import Rejected
from training.ingest.raw_files import CheckedRows
from training.ingest.row_checks import REMEDIES
from training.settings import Settings

MIN_LOST = 20
"""Fewer rows lost say little about the share of a type or column; where all are lost, `MIN_LOST_WHOLE` do."""
MIN_LOST_WHOLE = 5
MIN_SHARE_OF_DAY = 0.005
"""An event type that the contract does not know is noise below this share of a day's rows."""
OF_TYPE = "event type "
_MAX_SHOWN = 80


@dataclass(frozen=True, kw_only=True)
class Loss:
    """How many of the rows of an event type, or of the cells of a column, may not land, with an example."""

    of: str
    lost: int
    found: int
    example: Rejected

    @property
    def is_whole(self) -> bool:
        """Whether nothing of it is left."""
        return self.lost == self.found


def require_few(settings: Settings, table: Table, partition: Partition, checked: CheckedRows) -> None:
    """Stop when too large a share of a table's rows of one day, of a type of them, or of a column may not land.

    Raises:
        ContractViolation: A share is above `quarantine_max_share`; names the event type or column, an example, and
            where the quarantined rows lie.
    """
    if not checked.rejected:
        return
    whole = Loss(of="rows", lost=len(checked.rejected), found=checked.num_rows, example=_commonest(checked.rejected))
    if whole.lost / whole.found > settings.quarantine_max_share:
        raise _violation(settings, table, partition, whole, checked.rejected)
    for loss in (*type_losses(table, checked), *column_losses(table, checked)):
        if _is_grave(settings, loss, checked.num_rows):
            raise _violation(settings, table, partition, loss, [])


def type_losses(table: Table, checked: CheckedRows) -> list[Loss]:
    """Return each event type, as the log names it, of which a row may not land; none for tables without types."""
    if "event_type" not in table.column_names:
        return []
    kept = landed_types(checked)
    by_type: dict[str, list[Rejected]] = {}
    for row in checked.rejected:
        by_type.setdefault(str(row.content.get("event_type")), []).append(row)
    return [
        Loss(of=f"{OF_TYPE}{name}", lost=len(rows), found=len(rows) + kept.get(name, 0), example=_commonest(rows))
        for name, rows in sorted(by_type.items())
    ]


def landed_types(checked: CheckedRows) -> dict[str, int]:
    """Return how many rows of each event type may land."""
    return {found["values"]: found["counts"] for found in pc.value_counts(checked.rows["event_type"]).to_pylist()}


def column_losses(table: Table, checked: CheckedRows) -> list[Loss]:
    """Return each column whose filled cells kept a row from landing, out of all its filled cells."""
    losses = []
    for name in table.column_names:
        rows = [row for row in checked.rejected if row.column == name and row.value is not None]
        if rows:
            others = sum(row.content.get(name) is not None for row in checked.rejected)
            found = others + checked.rows.num_rows - checked.rows[name].null_count
            losses.append(Loss(of=f"column {name}", lost=len(rows), found=found, example=_commonest(rows)))
    return losses


def _is_grave(settings: Settings, loss: Loss, num_rows: int) -> bool:
    if loss.lost / loss.found <= settings.quarantine_max_share:
        return False
    name = loss.of.removeprefix(OF_TYPE)
    if name != loss.of and name not in EVENT_TYPES:
        return loss.lost >= MIN_LOST and loss.lost >= MIN_SHARE_OF_DAY * num_rows
    return loss.lost >= (MIN_LOST_WHOLE if loss.is_whole else MIN_LOST)


def _violation(
    settings: Settings, table: Table, partition: Partition, loss: Loss, rejected: list[Rejected]
) -> ContractViolation:
    row = loss.example
    same = sum((other.column, other.reason) == (row.column, row.reason) for other in rejected)
    often = f"most often column {row.column}: {row.reason} ({same} rows)" if rejected else f"{row.column}: {row.reason}"
    what = "rows" if loss.of == "rows" else f"{loss.of} in the rows"
    elsewhere = f", which conflicts with {row.other}" if row.other else ""
    return ContractViolation(
        f"expected at most {settings.quarantine_max_share:.1%} of the {what} of raw {table.name} dt={partition} to "
        f"break the contract, found {loss.lost} of {loss.found} ({loss.lost / loss.found:.1%}); {often}, such as "
        f"{_shown(row.value)} in row {row.row} of {settings.home / row.file}{elsewhere}; {REMEDIES[row.reason]}; the "
        f"rows lie in {settings.quarantine_dir(partition)}"
    )


def _commonest(rejected: list[Rejected]) -> Rejected:
    """Return the first row of the commonest fault."""
    kinds = Counter((row.column, row.reason) for row in rejected)
    most = max(sorted(kinds), key=lambda kind: kinds[kind])
    return next(row for row in rejected if (row.column, row.reason) == most)


def _shown(cell: str | None) -> str:
    """One line of a cell for a message: what is wrong with it may be that it is 50 kB long."""
    return repr(cell) if cell is None or len(cell) <= _MAX_SHOWN else f"{cell[:_MAX_SHOWN]!r}..."
