"""Keep the rows that break the contract: where they came from, why, what to do, and the row itself."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from training.contracts.columns import Table
from training.contracts.errors import ContractViolation
from training.contracts.partitions import Partition
from training.ingest.row_checks import REMEDIES
from training.settings import Settings
from training.storage import write_parquet

SCHEMA = pa.schema(
    [
        pa.field("reason", pa.string(), nullable=False),
        pa.field("column", pa.string(), nullable=False),
        pa.field("value", pa.string()),
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("remedy", pa.string(), nullable=False),
        pa.field("raw", pa.string(), nullable=False),
    ]
)
"""`row` counts from 1 within `file`; `raw` is the row as it came, as JSON."""
_MAX_SHOWN = 80


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """One row that may not land."""

    reason: str
    column: str
    file: str
    row: int
    content: dict[str, object]

    @property
    def value(self) -> str | None:
        """The offending cell as text; None where it is empty."""
        cell = self.content.get(self.column)
        return None if cell is None else str(cell)

    def record(self) -> dict[str, object]:
        """Return the row of the quarantine table."""
        return {
            "reason": self.reason,
            "column": self.column,
            "value": self.value,
            "file": self.file,
            "row": self.row,
            "remedy": REMEDIES[self.reason],
            "raw": json.dumps(self.content, default=str, sort_keys=True, ensure_ascii=False),
        }


def write_quarantine(settings: Settings, table: Table, partition: Partition, rejected: list[Rejected]) -> None:
    """Write the rejected rows of one table and day, replacing what an earlier landing left there."""
    path = settings.quarantine_dir(partition) / f"{table.name}.parquet"
    if rejected:
        ordered = sorted(rejected, key=lambda r: (r.file, r.row))
        write_parquet(pa.Table.from_pylist([r.record() for r in ordered], schema=SCHEMA), path)
    else:
        path.unlink(missing_ok=True)


def require_few(
    settings: Settings, table: Table, partition: Partition, rejected: list[Rejected], num_rows: int
) -> None:
    """Stop when too large a share of a table's rows of one day may not land.

    Raises:
        ContractViolation: The share is above `quarantine_max_share`; names the worst column, an example, and where
            the quarantined rows lie.
    """
    if not num_rows or len(rejected) / num_rows <= settings.quarantine_max_share:
        return
    kinds = [(r.column, r.reason) for r in rejected]
    column, reason = max(sorted(set(kinds)), key=kinds.count)
    example = next(r for r in rejected if (r.column, r.reason) == (column, reason))
    raise ContractViolation(
        f"expected at most {settings.quarantine_max_share:.1%} of the rows of raw {table.name} dt={partition} to break "
        f"the contract, found {len(rejected)} of {num_rows} ({len(rejected) / num_rows:.1%}); most often column "
        f"{column}: {reason} ({kinds.count((column, reason))} rows), such as {_shown(example.value)} in row "
        f"{example.row} of {settings.home / example.file}; {REMEDIES[reason]}; the rows lie in "
        f"{settings.quarantine_dir(partition)}"
    )


def counts(rejected: list[Rejected]) -> dict[str, int]:
    """Return how many rows were rejected for each reason."""
    reasons, numbers = np.unique([r.reason for r in rejected], return_counts=True)
    return {str(reason): int(number) for reason, number in zip(reasons, numbers, strict=True)}


def _shown(cell: str | None) -> str:
    """One line of a cell for a message: what is wrong with it may be that it is 50 kB long."""
    return repr(cell) if cell is None or len(cell) <= _MAX_SHOWN else f"{cell[:_MAX_SHOWN]!r}..."
