"""Find users in Parquet and Arrow files, and take them out of Parquet: rows go, mentions in others are illegible."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from serving_export.erasure.people import OWNER, People, names_items
from training.storage import open_parquet, write_parquet

RAW_ROW = "raw"
"""The column of quarantine that holds a rejected row as it came."""


def find(path: Path, people: People) -> list[str]:
    """Return what in a file names one of the users: its columns, with the number of cells."""
    return _found(_read(path), people)


def find_arrow(path: Path, people: People) -> list[str]:
    """Return the same of an Arrow file, which is mapped."""
    with pa.memory_map(str(path)) as file:
        return _found(pa.ipc.open_file(file).read_all(), people)


def erase(path: Path, people: People) -> int:
    """Rewrite a file without the users and return how many rows changed or went; an untouched file stays as it is."""
    table = _read(path)
    gone = own_rows(table, people)
    kept, masked = table.filter(pa.array(~gone)), 0
    for name in _texts(kept):
        mentions = _mentions(kept[name], people)
        if mentions.any():
            kept = _with_masked(kept, name, people)
            masked += int(mentions.sum())
    if gone.any() or masked:
        write_parquet(kept, path)
    return int(gone.sum()) + masked


def own_rows(table: pa.Table, people: People) -> NDArray[np.bool_]:
    """Return bool [N]: the rows that belong to the users, in a table of theirs or in quarantine."""
    if _has_owner(table):
        owner = table[OWNER].cast(pa.string())
        return np.asarray(pc.fill_null(pc.is_in(owner, value_set=pa.array(sorted(people.ids), pa.string())), False))
    if RAW_ROW in table.column_names and "reason" in table.column_names:
        return np.array([people.owns(cell) for cell in table[RAW_ROW].to_pylist()], dtype=bool)
    return np.zeros(table.num_rows, dtype=bool)


def _found(table: pa.Table, people: People) -> list[str]:
    found = [(OWNER, int(own_rows(table, people).sum()))] if _has_owner(table) else []
    found += [(name, int(_mentions(table[name], people).sum())) for name in _texts(table) if name != OWNER]
    return [f"column {name}: {count} rows" for name, count in found if count]


def _read(path: Path) -> pa.Table:
    """Return a file as it was before it was written: Parquet names the values of lists otherwise than Arrow does."""
    table = open_parquet(path).read()
    fields = [
        field.with_type(pa.list_(field.type.value_type)) if pa.types.is_list(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields, table.schema.metadata))


def _has_owner(table: pa.Table) -> bool:
    return OWNER in table.column_names and not pa.types.is_nested(table.schema.field(OWNER).type)


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type of a column's values, whether or not they are in a dictionary."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _texts(table: pa.Table) -> Iterator[str]:
    """Yield the columns of text, and of lists of text, that may name a user."""
    for field in table.schema:
        values = field.type.value_type if pa.types.is_list(field.type) else _plain(field.type)
        if (pa.types.is_string(values) or pa.types.is_large_string(values)) and not names_items(field.name):
            yield field.name


def _mentions(column: pa.ChunkedArray, people: People) -> NDArray[np.bool_]:
    """Return bool [N]: which cells mention one of the users; RE2 first, so that most cells never become Python's."""
    if pa.types.is_list(column.type):
        return np.array([any(map(people.mentioned_in, filter(None, cell or ()))) for cell in column.to_pylist()], bool)
    texts = column.cast(pa.string())
    coded = texts.combine_chunks().dictionary_encode()
    named = np.array([people.mentioned_in(text) for text in coded.dictionary.to_pylist()], dtype=bool)
    indices = pc.fill_null(coded.indices, len(named)).to_numpy()
    found: NDArray[np.bool_] = np.append(named, False)[indices]
    return found


def _with_masked(table: pa.Table, name: str, people: People) -> pa.Table:
    def masked(cell: Any) -> Any:
        if isinstance(cell, list):
            return [masked(one) for one in cell]
        return None if cell is None else people.masked(cell)

    field = table.schema.field(name)
    cells = pa.array([masked(cell) for cell in table[name].to_pylist()], field.type)
    return table.set_column(table.column_names.index(name), field, cells)
