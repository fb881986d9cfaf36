"""Hold rows of a stream against the raw contract, by the same checks as the daily logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from serving_export.stream.entries import STREAMED, Entry
from serving_export.stream.state import DeadLetter
from training.contracts.columns import Column, Kind, Table
from training.contracts.partitions import Partition
from training.ingest.conversion import Converted, convert
from training.ingest.raw_files import with_daily_ids
from training.ingest.row_checks import REMEDIES, faults
from training.settings import Settings
from training.storage import arrow_schema

NO_ROW = "no row of a raw table"
_TYPES = {"whole": pa.int64(), "number": pa.float64(), "text": pa.string(), "list": pa.list_(pa.string())}
"""The forms of JSON values that a cell may have: whole numbers apart, since floats do not hold every id."""
_NO_ROW_REMEDY = f"append an object of the columns of {' or '.join(STREAMED)}, as JSON"


@dataclass(frozen=True)
class Refused:
    """Why a row may not land: its number in what was checked, the gravest reason, the column and what to do."""

    row: int
    reason: str
    column: str
    remedy: str


@dataclass(frozen=True)
class Checked:
    """Rows that keep the contract, typed, with their numbers in what was checked; and why the others do not."""

    rows: pa.Table
    numbers: list[int]
    refused: list[Refused]


def check_rows(settings: Settings, table: Table, rows: Sequence[Mapping[str, Any]], arrived_on: Partition) -> Checked:
    """Return rows in contract types, as `training.ingest` lands them, and those that may not land.

    Unlike in a file, no row is judged by the others: a time in digits is a Unix time whatever its neighbours are.

    Args:
        settings: What names an event.
        table: The raw contract.
        rows: JSON values by column; a missing column is null.
        arrived_on: The arrival day: no event is later than its end.
    """
    converted = {column.name: _convert(column, [row.get(column.name) for row in rows]) for column in table.columns}
    good = np.ones(len(rows), bool)
    refused: list[Refused] = []
    for fault in faults(table, converted, arrived_on):
        at_fault = np.flatnonzero(fault.rows & good)
        refused += [Refused(int(row), fault.reason, fault.column, REMEDIES[fault.reason]) for row in at_fault]
        good &= ~fault.rows
    numbers = np.flatnonzero(good)
    schema = arrow_schema(table)
    kept = pa.Table.from_arrays(
        [converted[name].values.take(pa.array(numbers)) for name in schema.names], schema=schema
    )
    if "event_id" in schema.names and settings.event_key == "event_id_and_day":
        kept = with_daily_ids(kept)
    return Checked(kept, numbers.tolist(), sorted(refused, key=lambda one: one.row))


def parse(entries: Sequence[Entry]) -> tuple[dict[str, list[tuple[Entry, dict[str, Any]]]], list[DeadLetter]]:
    """Return the entries of each table with their rows, and those that hold none."""
    parsed: dict[str, list[tuple[Entry, dict[str, Any]]]] = {name: [] for name in STREAMED}
    dead = []
    for entry in entries:
        try:
            row = orjson.loads(entry.row)
        except orjson.JSONDecodeError:
            row = None
        if isinstance(row, dict) and entry.table in parsed:
            parsed[entry.table].append((entry, row))
        else:
            dead.append(letter(entry, NO_ROW, "", _NO_ROW_REMEDY))
    return parsed, dead


def letter(entry: Entry, reason: str, column: str, remedy: str) -> DeadLetter:
    """Return a dead letter of an entry."""
    return DeadLetter(entry.position, reason, column, remedy, entry.row.decode(errors="backslashreplace"))


def _convert(column: Column, cells: list[Any]) -> Converted:
    """Return cells in their contract type; numbers, text and lists each by themselves, other JSON values fail."""
    kinds = _forms(cells, column.kind)
    schema = arrow_schema(Table("cells", (), (column,)))
    values: pa.Array = pa.nulls(len(cells), schema.field(0).type)
    failed = np.asarray(kinds == "other", bool)
    for form in _TYPES:
        rows = np.flatnonzero(kinds == form)
        if not len(rows):
            continue
        part = _convert_form([cells[row] for row in rows.tolist()], form, column.kind)
        values = _placed(values, part.values, rows)
        failed[rows] |= part.failed
    return Converted(values, failed)


def _placed(values: pa.Array, part: pa.Array, rows: Any) -> pa.Array:
    if len(part) == len(values):
        return part.cast(values.type)
    places = np.arange(len(values))
    places[rows] = len(values) + np.arange(len(rows))
    return pa.concat_arrays([values, part.cast(values.type)]).take(pa.array(places))


def _convert_form(cells: list[Any], form: str, kind: Kind) -> Converted:
    try:
        values = [float(cell) for cell in cells] if form == "number" else cells
        return convert(pa.array(values, _TYPES[form]), kind)
    except (TypeError, ValueError, OverflowError, pa.ArrowException):
        if len(cells) > 1:
            parts = [_convert_form([cell], form, kind) for cell in cells]
            return Converted(pa.concat_arrays([p.values for p in parts]), np.concatenate([p.failed for p in parts]))
        nothing = arrow_schema(Table("cells", (), (Column("cell", kind),))).field(0).type
        return Converted(pa.nulls(1, nothing), np.ones(1, bool))


def _forms(cells: list[Any], kind: Kind) -> npt.NDArray[np.object_]:
    """Return the form of each cell, "" of null; most columns have one form only, which the types tell at once."""
    types = {*map(type, cells)}
    if types <= {str, NoneType} and (kind != "timestamp" or not any(cell and _is_number(cell) for cell in cells)):
        return np.array(["" if cell is None else "text" for cell in cells], dtype=object)
    return np.array([_form(cell, kind) for cell in cells], dtype=object)


def _form(cell: Any, kind: Kind) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return "number" if kind == "timestamp" and _is_number(cell) else "text"
    if isinstance(cell, list):
        return "list"
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return "other"
    return "whole" if isinstance(cell, int) else "number"


def _is_number(text: str) -> bool:
    if ":" in text:  # as in nearly every time that is written out
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True
