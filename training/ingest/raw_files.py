"""Read the raw files of a day in contract types, each row with the place that it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from training.arrays import Indices
from training.contracts.columns import RAW_INTERACTIONS, Column, Table
from training.contracts.errors import AttuneError, ContractViolation, TransientFailure
from training.contracts.partitions import Partition
from training.contracts.tombstones import TombstoneFile, Tombstones
from training.ingest.conversion import Converted, convert, legible
from training.ingest.event_hashes import hashed_ids
from training.ingest.quarantine import Rejected
from training.ingest.row_checks import CONFLICTING_DUPLICATE, REUSED_ID, faults, first_of_conflict
from training.ingest.sources import read_parquet
from training.settings import Settings
from training.storage import arrow_schema

_REMEDY = "write it again whole (under a temporary name, then rename), or remove it"


@dataclass(frozen=True)
class CheckedRows:
    """The rows of one table and day: those that may land, typed, and those that may not.

    Attributes:
        rows: What may land, in the order of files and rows.
        rejected: What may not.
        num_erased: How many rows of erased users were dropped, whether or not they keep the contract.
        places: Of each row [N] that may land, the number of its file and its row within it, from 1: int64 [N, 2].
        files: The files, relative to the home.
    """

    rows: pa.Table
    rejected: list[Rejected]
    places: Indices = field(default_factory=lambda: np.empty((0, 2), dtype=np.int64))
    files: tuple[str, ...] = ()
    num_erased: int = 0

    @property
    def num_rows(self) -> int:
        """How many rows arrived."""
        return int(self.rows.num_rows) + len(self.rejected) + self.num_erased

    def place(self, row: int) -> str:
        """Return where one of `rows` came from, in words."""
        file, number = self.places[row]
        return f"row {number} of {self.files[file]}"


def require_parquet(paths: list[Path]) -> list[Path]:
    """Return `paths` if each is a Parquet file by its name.

    Raises:
        AttuneError: One is of another kind.
    """
    for path in paths:
        if path.suffix != ".parquet" or path.is_dir():
            raise AttuneError(
                f"expected *.parquet files alone in {path.parent}, found {path.name}; import it with FORMAT=csv, or "
                "move it away"
            )
    return paths


def fingerprint(files: list[Path]) -> dict[str, str]:
    """Return a content hash by file name; equal fingerprints mean equal rows in equal order.

    Raises:
        AttuneError: A file is of another kind than Parquet.
        TransientFailure: A file cannot be read now.
    """
    return {path.name: _digest(path) for path in require_parquet(files)}


def read_checked(
    settings: Settings,
    table: Table,
    partition: Partition,
    files: list[Path],
    reused: Mapping[int, str] | None = None,
) -> CheckedRows:
    """Return the rows of a day's files, each landed, rejected or, of an erased user, dropped and counted.

    Args:
        settings: Where raw lies, and what names an event.
        table: The raw contract.
        partition: The arrival day.
        files: Its files; none gives no rows.
        reused: Hashes of the ids that an earlier day gave other content, with the place of the earlier row.

    Raises:
        AttuneError: A file is empty or cannot be read.
        ContractViolation: A file lacks a required column, or holds one whose type no cell can be read from.
    """
    schema = arrow_schema(table)
    if not files:
        return CheckedRows(schema.empty_table(), [])
    raws = [read_parquet(path, _REMEDY) for path in files]
    names = tuple(str(path.relative_to(settings.home)) for path in files)
    parts = [_judge(settings, table, partition, path, raw) for path, raw in zip(files, raws, strict=True)]
    places = np.concatenate(
        [np.column_stack([np.full(len(rows), number), rows + 1]) for number, (_, rows, _) in enumerate(parts)]
    )
    checked = CheckedRows(
        pa.concat_tables([kept for kept, _, _ in parts]),
        [row for _, _, rejected in parts for row in rejected],
        places,
        names,
    )
    first = first_of_conflict(table, checked.rows)
    others = {int(row): checked.place(int(first[row])) for row in np.flatnonzero(first >= 0)}
    checked = _without(checked, raws, others, CONFLICTING_DUPLICATE, table.key[0])
    if table is RAW_INTERACTIONS and settings.event_key == "event_id_and_day":
        checked = replace(checked, rows=with_daily_ids(checked.rows))
    if reused:
        hashes = hashed_ids(checked.rows).tolist()
        others = {row: reused[value] for row, value in enumerate(hashes) if value in reused}
        checked = _without(checked, raws, others, REUSED_ID, table.key[0])
    return _without_erased(checked, TombstoneFile(settings.published_dir).read())


def _judge(
    settings: Settings, table: Table, partition: Partition, path: Path, raw: pa.Table
) -> tuple[pa.Table, Indices, list[Rejected]]:
    """Return the rows of one file that keep the contract by themselves, their numbers from 0, and the others."""
    schema = arrow_schema(table)
    columns = {column.name: _convert(raw, column, path, table) for column in table.columns}
    good = np.ones(raw.num_rows, dtype=bool)
    rejected: list[Rejected] = []
    file = str(path.relative_to(settings.home))
    for fault in faults(table, columns, partition):
        rejected += _reject(raw, file, np.flatnonzero(fault.rows & good), fault.reason, fault.column)
        good &= ~fault.rows
    numbers = np.flatnonzero(good)
    values = [columns[name].values.take(pa.array(numbers)) for name in schema.names]
    return pa.Table.from_arrays(values, schema=schema), numbers, rejected


def _convert(raw: pa.Table, column: Column, path: Path, table: Table) -> Converted:
    found = raw.column_names.count(column.name)
    if found > 1:
        raise ContractViolation(
            f"expected one column {column.name} in {path}, found {found}; write the file again with one of them"
        )
    if not found:
        if column.nullable:
            kind = arrow_schema(table).field(column.name).type
            return Converted(pa.nulls(raw.num_rows, kind), np.zeros(raw.num_rows, dtype=bool))
        raise ContractViolation(
            f"expected column {column.name} ({column.kind}) in {path}, found "
            f"{', '.join(raw.column_names) or 'none'} in its {raw.num_rows} rows; write the file again with it"
        )
    try:
        return convert(raw[column.name], column.kind)
    except (TypeError, ValueError, OverflowError, pa.ArrowException) as error:
        raise ContractViolation(
            f"column {column.name} of {path}, rows 1 to {raw.num_rows}: {error}; write it as {column.kind}"
        ) from error


def _reject(raw: pa.Table, file: str, numbers: Indices, reason: str, column: str) -> list[Rejected]:
    if not len(numbers):
        return []
    found = raw.take(pa.array(numbers))
    columns = [[legible(cell) for cell in column] for column in found.columns]
    contents = [dict(zip(found.column_names, cells, strict=True)) for cells in zip(*columns, strict=True)]
    return [
        Rejected(reason=reason, column=column, file=file, row=int(number) + 1, content=content)
        for number, content in zip(numbers, contents, strict=True)
    ]


def _without(
    checked: CheckedRows, raws: list[pa.Table], others: Mapping[int, str], reason: str, column: str
) -> CheckedRows:
    """Reject the rows named in `others`, each with the place of the row that it conflicts with."""
    if not others:
        return checked
    rows = np.array(sorted(others))
    rejected = list(checked.rejected)
    for number, (raw, file) in enumerate(zip(raws, checked.files, strict=True)):
        here = rows[checked.places[rows, 0] == number]
        found = _reject(raw, file, checked.places[here, 1] - 1, reason, column)
        rejected += [replace(one, other=others[int(row)]) for one, row in zip(found, here, strict=True)]
    kept = np.ones(checked.rows.num_rows, dtype=bool)
    kept[rows] = False
    return replace(checked, rows=checked.rows.filter(pa.array(kept)), rejected=rejected, places=checked.places[kept])


def _without_erased(checked: CheckedRows, tombstones: Tombstones) -> CheckedRows:
    """Drop the rows of erased users, which come late or again; of one that may not land too, so that nothing stays."""
    if not tombstones or "user_id" not in checked.rows.column_names:
        return checked
    users = checked.rows["user_id"].combine_chunks().dictionary_encode()
    gone = np.array(tombstones.among(users.dictionary.to_pylist()), dtype=bool)
    kept = ~gone[users.indices.to_numpy()] if len(gone) else np.ones(checked.rows.num_rows, dtype=bool)
    rejected_ids = [str(row.content.get("user_id")) for row in checked.rejected]
    erased = tombstones.among(rejected_ids)
    rejected = [row for row, is_erased in zip(checked.rejected, erased, strict=True) if not is_erased]
    num_erased = int((~kept).sum()) + sum(erased)
    rows, places = checked.rows.filter(pa.array(kept)), checked.places[kept]
    return replace(checked, rows=rows, rejected=rejected, places=places, num_erased=num_erased)


def with_daily_ids(rows: pa.Table) -> pa.Table:
    """Make ids that restart every day name one event: an id and the time of its event are one wherever they arrive."""
    times = pc.strftime(rows["occurred_at"], format="%Y-%m-%dT%H:%M:%S")
    at = rows.column_names.index("event_id")
    ids = pc.binary_join_element_wise(rows["event_id"], times, "@")
    return rows.set_column(at, rows.schema.field("event_id"), ids.cast(pa.string()))


def _digest(path: Path) -> str:
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except OSError as error:
        raise TransientFailure(
            f"expected to read {path}, found {error.strerror}; let this user read it, or move it away, and run again"
        ) from error
