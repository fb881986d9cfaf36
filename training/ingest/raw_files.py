"""Find the raw files of a day, tell whether they changed, and read them in contract types."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from training.contracts.columns import Column, Table
from training.contracts.errors import AttuneError, ContractViolation
from training.contracts.partitions import Partition
from training.ingest.conversion import Converted, Mask, convert, legible
from training.ingest.quarantine import Rejected
from training.ingest.row_checks import CONFLICTING_DUPLICATE, conflicting_duplicates, faults
from training.ingest.sources import read_parquet
from training.settings import Settings
from training.storage import arrow_schema

logger = logging.getLogger(__name__)
_REMEDY = "write it again whole (under a temporary name, then rename), or remove it"


@dataclass(frozen=True)
class CheckedRows:
    """The rows of one table and day: those that may land, typed, and those that may not."""

    rows: pa.Table
    rejected: list[Rejected]

    @property
    def num_rows(self) -> int:
        """How many rows arrived."""
        return int(self.rows.num_rows) + len(self.rejected)


def raw_files(settings: Settings, table: Table, partition: Partition) -> list[Path]:
    """Return the Parquet files of a table and arrival day, by name.

    Raises:
        AttuneError: The folder holds a file of another kind.
    """
    folder = settings.raw_dir(table.name) / f"dt={partition}"
    files = sorted(path for path in folder.glob("*") if not path.name.startswith((".", "_")))
    for path in files:
        if path.suffix != ".parquet":
            raise AttuneError(f"expected *.parquet in {folder}, found {path.name}; import it with FORMAT=csv")
    return files


def fingerprint(files: list[Path]) -> dict[str, str]:
    """Return a content hash by file name; equal fingerprints mean equal rows in equal order."""
    return {path.name: hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest() for path in files}


def read_checked(settings: Settings, table: Table, partition: Partition, files: list[Path]) -> CheckedRows:
    """Return the rows of a day's files, each either landed or rejected; none is lost.

    Args:
        settings: Where raw lies.
        table: The raw contract.
        partition: The arrival day.
        files: Its files; none gives no rows.

    Raises:
        AttuneError: A file is empty or cannot be read.
        ContractViolation: A file lacks a required column, or holds one whose type no cell can be read from.
    """
    schema = arrow_schema(table)
    if not files:
        return CheckedRows(schema.empty_table(), [])
    kept: list[pa.Table] = []
    origins: list[tuple[pa.Table, Path, np.ndarray]] = []
    rejected: list[Rejected] = []
    for path in files:
        raw = read_parquet(path, _REMEDY)
        columns = {column.name: _convert(raw, column, path, table) for column in table.columns}
        good = np.ones(raw.num_rows, dtype=bool)
        for fault in faults(table, columns, partition):
            rejected += _reject(settings, raw, path, fault.rows & good, fault.reason, fault.column)
            good &= ~fault.rows
        numbers = np.flatnonzero(good)
        values = [columns[name].values.take(pa.array(numbers)) for name in schema.names]
        kept.append(pa.Table.from_arrays(values, schema=schema))
        origins.append((raw, path, numbers))
    rows = pa.concat_tables(kept)
    conflicts = conflicting_duplicates(table, rows)
    if conflicts.any():
        rejected += _reject_conflicts(settings, table, origins, conflicts)
        rows = rows.filter(pa.array(~conflicts))
    return CheckedRows(rows, rejected)


def _convert(raw: pa.Table, column: Column, path: Path, table: Table) -> Converted:
    if column.name not in raw.column_names:
        if column.nullable:
            kind = arrow_schema(table).field(column.name).type
            return Converted(pa.nulls(raw.num_rows, kind), np.zeros(raw.num_rows, dtype=bool))
        raise ContractViolation(
            f"expected column {column.name} ({column.kind}) in {path}, found "
            f"{', '.join(raw.column_names) or 'none'} in its {raw.num_rows} rows; write the file again with it"
        )
    try:
        return convert(raw[column.name], column.kind)
    except TypeError as error:
        raise ContractViolation(
            f"column {column.name} of {path}, rows 1 to {raw.num_rows}: {error}; write it as {column.kind}"
        ) from error


def _reject(settings: Settings, raw: pa.Table, path: Path, rows: Mask, reason: str, column: str) -> list[Rejected]:
    numbers = np.flatnonzero(rows)
    if not len(numbers):
        return []
    file = str(path.relative_to(settings.home))
    found = raw.take(pa.array(numbers))
    columns = [[legible(cell) for cell in column] for column in found.columns]
    contents = [dict(zip(found.column_names, cells, strict=True)) for cells in zip(*columns, strict=True)]
    return [
        Rejected(reason=reason, column=column, file=file, row=int(number) + 1, content=content)
        for number, content in zip(numbers, contents, strict=True)
    ]


def _reject_conflicts(
    settings: Settings, table: Table, origins: list[tuple[pa.Table, Path, np.ndarray]], conflicts: Mask
) -> list[Rejected]:
    rejected, start = [], 0
    for raw, path, numbers in origins:
        mask = np.zeros(raw.num_rows, dtype=bool)
        mask[numbers[conflicts[start : start + len(numbers)]]] = True
        rejected += _reject(settings, raw, path, mask, CONFLICTING_DUPLICATE, table.key[0])
        start += len(numbers)
    return rejected
