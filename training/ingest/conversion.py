"""Turn columns of logs into contract types, and tell which cells would not turn.

Producers differ: times arrive as text, as Unix seconds or as timestamps, numbers as text, lists joined by a bar.
A cell that cannot be converted becomes null and is reported, so that its row can be quarantined with a reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.contracts.columns import Kind

Mask: TypeAlias = NDArray[np.bool_]
TIMESTAMP = pa.timestamp("us", tz="UTC")
STRINGS = pa.list_(pa.string())
LIST_SEPARATOR = "|"
_MICROS_PER_UNIT = ((1e17, 1e-3), (1e14, 1.0), (1e11, 1e3), (0.0, 1e6))
"""A Unix time above the bound counts nanoseconds, microseconds, milliseconds, else seconds (good for 1966 to 5138)."""
_MAX_MICROS = 2**62


@dataclass(frozen=True)
class Converted:
    """One column in its contract type; `failed` marks cells that held something which is not of that type."""

    values: pa.Array
    failed: Mask


def convert(column: pa.ChunkedArray | pa.Array, kind: Kind) -> Converted:
    """Return a column in the Arrow type of a contract kind.

    Args:
        column: Values of any type, length N.
        kind: string, double, timestamp or strings (list of string).

    Returns:
        The values [N] and the cells [N] that failed; a null is not a failure. Empty input gives empty output.

    Raises:
        TypeError: The whole column has a type that no cell of it could be read from, such as a struct as a string.
    """
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(flat, pa.ChunkedArray):
        flat = pa.concat_arrays(flat.chunks)
    if pa.types.is_dictionary(flat.type):
        flat = flat.dictionary_decode()
    if pa.types.is_null(flat.type):
        flat = flat.cast(pa.string())
    return {"string": _string, "double": _double, "timestamp": _timestamp, "strings": _strings}[kind](flat)


def _string(column: pa.Array) -> Converted:
    if pa.types.is_nested(column.type):
        raise TypeError(f"expected text, found {column.type}")
    text = column if column.type == pa.string() else column.cast(pa.string())
    return Converted(text, np.zeros(len(text), dtype=bool))


def _double(column: pa.Array) -> Converted:
    if _is_text(column.type):
        numbers = pd.to_numeric(column.to_pandas(), errors="coerce").to_numpy(dtype=np.float64)
        present = _present(column)
    elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        numbers = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64)
        present = _present(column) & ~np.isnan(numbers)
    else:
        raise TypeError(f"expected a number, found {column.type}")
    finite = np.isfinite(numbers)
    return Converted(pa.array(np.where(finite, numbers, 0.0), mask=~finite), present & ~finite)


def _timestamp(column: pa.Array) -> Converted:
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        stamps = column.cast(pa.timestamp("us")) if pa.types.is_date(kind) else column
        return Converted(stamps.cast(TIMESTAMP, safe=False), np.zeros(len(column), dtype=bool))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _unix(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), _present(column))
    if not _is_text(kind):
        raise TypeError(f"expected a time, found {kind}")
    numbers = pd.to_numeric(column.to_pandas(), errors="coerce").to_numpy(dtype=np.float64)
    if np.isfinite(numbers).any():
        return _unix(numbers, _present(column))
    return _iso(column)


def _iso(column: pa.Array) -> Converted:
    parsed = pd.to_datetime(column.to_pandas(), errors="coerce", utc=True, format="ISO8601")
    values = pa.array(parsed.dt.as_unit("us"), type=TIMESTAMP, from_pandas=True)
    failed = _present(column) & ~_present(values)
    if failed.any():
        stamps = values.to_pylist()
        for row in np.flatnonzero(failed):
            stamps[row] = _distant(column[int(row)].as_py())
        values = pa.array(stamps, type=TIMESTAMP)
        failed &= ~_present(values)
    return Converted(values, failed)


def _distant(text: str) -> datetime | None:
    """A time that pandas' nanoseconds do not reach, such as the year 2999; None if it is no time."""
    try:
        stamp = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return stamp.replace(tzinfo=UTC) if stamp.tzinfo is None else stamp


def _unix(numbers: NDArray[np.float64], present: Mask) -> Converted:
    size = np.abs(np.nan_to_num(numbers, nan=0.0, posinf=0.0, neginf=0.0))
    scale = np.select([size >= bound for bound, _ in _MICROS_PER_UNIT], [unit for _, unit in _MICROS_PER_UNIT])
    good = np.isfinite(numbers) & (size * scale < _MAX_MICROS)
    micros = np.where(good, np.rint(np.where(good, numbers, 0.0) * scale), 0).astype(np.int64)
    return Converted(pa.array(micros, mask=~good).cast(TIMESTAMP), present & ~good)


def _strings(column: pa.Array) -> Converted:
    if _is_text(column.type):
        lists = pc.split_pattern(column, LIST_SEPARATOR)
        return Converted(lists.cast(STRINGS), np.zeros(len(column), dtype=bool))
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        raise TypeError(f"expected a list of text, found {column.type}")
    return Converted(column.cast(STRINGS), np.zeros(len(column), dtype=bool))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _present(column: pa.Array) -> Mask:
    valid: Mask = column.is_valid().to_numpy(zero_copy_only=False)
    if _is_text(column.type):
        length = pc.fill_null(pc.utf8_length(pc.utf8_trim_whitespace(column)), 0)
        return np.asarray(valid & (length.to_numpy(zero_copy_only=False) > 0))
    return valid
