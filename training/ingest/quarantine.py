"""Keep the rows that break the contract: where they came from, why, what to do, and the row itself."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from training.contracts.columns import Table
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
        pa.field("other", pa.string()),
        pa.field("remedy", pa.string(), nullable=False),
        pa.field("raw", pa.string(), nullable=False),
    ]
)
"""`row` counts from 1 within `file`; `other` is the row that it conflicts with; `raw` the row as it came, in JSON."""


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """One row that may not land."""

    reason: str
    column: str
    file: str
    row: int
    content: dict[str, object]
    other: str | None = None

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
            "other": self.other,
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


def counts(rejected: list[Rejected]) -> dict[str, int]:
    """Return how many rows were rejected for each reason."""
    reasons, numbers = np.unique([r.reason for r in rejected], return_counts=True)
    return {str(reason): int(number) for reason, number in zip(reasons, numbers, strict=True)}
