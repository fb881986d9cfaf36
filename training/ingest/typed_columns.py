"""Rename and convert a source table's columns to the contract's, and say which cell stands in the way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from training.contracts.columns import RAW_INTERACTIONS, RAW_TABLES, Column
from training.contracts.errors import AttuneError
from training.ingest.conversion import convert, legible
from training.ingest.history import ARRIVED_ON

_DERIVED = {"event_id", "event_type", "valid_from"}
"""Required by the contract, but the importer can supply them."""


def typed(
    rows: pa.Table,
    path: Path,
    table: str = RAW_INTERACTIONS.name,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, str] | None = None,
) -> pa.Table:
    """Return the contract's columns of a source table, in their contract types.

    Cells that landing can judge by itself (an unknown event type, a rating that is no number) pass as they are and
    are quarantined there; a time that is none cannot pass, since its row would have no day.

    Args:
        rows: The source's columns.
        path: Its file, for messages.
        table: interactions, users or items.
        columns: Contract name by source name; names that are already the contract's need no entry.
        constants: Text for contract columns that the source lacks.

    Raises:
        AttuneError: A required column is missing, or a cell of it is not of its type.
    """
    renamed = {(columns or {}).get(name, name): rows[name] for name in rows.column_names}
    found: dict[str, pa.Array] = {}
    for column in RAW_TABLES[table].columns:
        if column.name in renamed:
            found[column.name] = _convert(renamed[column.name], column, path)
        elif column.name in (constants or {}):
            found[column.name] = pa.repeat(pa.scalar((constants or {})[column.name]), rows.num_rows)
        elif not column.nullable and column.name not in _DERIVED:
            raise AttuneError(
                f"expected a column for {column.name} in {path}, found {', '.join(rows.column_names)}; "
                f"name it in the column map (COLUMNS=map.yaml): {table}: {{{column.name}: <column>}}"
            )
    if ARRIVED_ON in renamed:
        found[ARRIVED_ON] = _convert(renamed[ARRIVED_ON], Column(ARRIVED_ON, "timestamp"), path)
    return pa.table(found)


def _convert(values: pa.ChunkedArray, column: Column, path: Path) -> pa.Array:
    try:
        result = convert(values, column.kind)
    except TypeError as error:
        raise AttuneError(f"column {column.name} of {path}: {error}; map another column to it") from error
    if column.kind == "double" and result.failed.any():
        return pc.cast(values.combine_chunks(), pa.string())
    blank = ~result.values.is_valid().to_numpy(zero_copy_only=False)
    bad = result.failed | (blank if column.kind == "timestamp" and not column.nullable else False)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise AttuneError(
            f"expected a {column.kind} in column {column.name} of {path}, found {legible(values[row])!r} in data row "
            f"{row + 1} ({int(bad.sum())} such rows); correct or remove them, or map another column"
        )
    return result.values
