"""Turn columns of logs into contract types, and tell which cells would not turn.

Producers differ: times arrive as text, as Unix seconds or as timestamps, numbers as text, lists joined by a bar.
A cell that cannot be converted becomes null and is reported, so that its row can be quarantined with a reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

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
_MIN_MICROS, _MAX_MICROS = 631_152_000_000_000, 2**62
"""A number below the first, 1990, is no event's time but something else: a date in digits, a count, a zero."""
_UUID_BYTES = 16


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
        The values [N] and the cells [N] that failed; a null is not a failure, text that is not UTF-8 is one. Empty
        input gives empty output.

    Raises:
        TypeError: The whole column has a type that no cell of it could be read from, such as a struct as a string.
    """
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(flat, pa.ChunkedArray):
        flat = pa.concat_arrays(flat.chunks)
    if isinstance(flat.type, pa.BaseExtensionType):
        flat = flat.storage
    if pa.types.is_dictionary(flat.type):
        flat = flat.dictionary_decode()
    if pa.types.is_null(flat.type):
        flat = flat.cast(pa.string())
    read = {"string": _string, "double": _double, "timestamp": _timestamp, "strings": _strings}[kind]
    if not _is_text(flat.type):
        return read(flat)
    text = _utf8(flat, pa.binary(), pa.string())
    found = read(text.values)
    return Converted(found.values, found.failed | text.failed)


def legible(cell: pa.Scalar) -> object:
    r"""Return a cell as Python writes it; a byte that is not UTF-8 as \xNN, a time beyond Python's years as text."""
    try:
        return cell.as_py()
    except OverflowError:
        return cell.cast(pa.string()).as_py()
    except UnicodeDecodeError:
        if pa.types.is_dictionary(cell.type):
            return legible(cell.value)
        if pa.types.is_struct(cell.type):
            return {name: legible(part) for name, part in cell.items()}
        if pa.types.is_nested(cell.type):
            return [legible(part) for part in cell.values]
        return cell.cast(pa.binary()).as_py().decode(errors="backslashreplace")


def _utf8(column: pa.Array, as_bytes: pa.DataType, as_text: pa.DataType) -> Converted:
    """Text, or lists of it, without the cells whose bytes are not UTF-8: Parquet does not promise that they are."""
    raw = column.cast(as_bytes)
    try:
        return Converted(raw.cast(as_text), np.zeros(len(raw), dtype=bool))
    except pa.ArrowInvalid:
        cells = raw.to_pylist()
    failed = np.array([not _is_utf8(cell) for cell in cells])
    clean = [None if bad else cell for cell, bad in zip(cells, failed, strict=True)]
    return Converted(pa.array(clean, as_bytes).cast(as_text), failed)


def _is_utf8(cell: bytes | list[bytes | None] | None) -> bool:
    try:
        for part in cell if isinstance(cell, list) else [cell]:
            (part or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def _string(column: pa.Array) -> Converted:
    if pa.types.is_nested(column.type):
        raise TypeError(f"expected text, found {column.type}")
    if pa.types.is_fixed_size_binary(column.type) and column.type.byte_width == _UUID_BYTES:
        return _uuid_or_text(column)
    if _is_binary(column.type):
        return _utf8(column, pa.binary(), pa.string())
    if pa.types.is_floating(column.type):
        texts = [_digits(number) for number in column.to_pylist()]
        return Converted(pa.array(texts, pa.string()), np.zeros(len(column), dtype=bool))
    return Converted(column.cast(pa.string()), np.zeros(len(column), dtype=bool))


def _uuid_or_text(column: pa.Array) -> Converted:
    """Sixteen bytes that are not all printable are a UUID, and become its 36 characters."""
    cells = column.to_pylist()
    texts = [_utf8_or_none(cell) for cell in cells]
    if any(
        cell is not None and (text is None or not text.isprintable()) for cell, text in zip(cells, texts, strict=True)
    ):
        texts = [None if cell is None else str(UUID(bytes=cell)) for cell in cells]
    return Converted(pa.array(texts, pa.string()), np.zeros(len(column), dtype=bool))


def _utf8_or_none(cell: bytes | None) -> str | None:
    try:
        return None if cell is None else cell.decode()
    except UnicodeDecodeError:
        return None


def _digits(number: float | None) -> str | None:
    """A number as an id: whole ones with all digits and no point; NaN and infinity are none."""
    if number is None or not np.isfinite(number):
        return None
    return str(int(number)) if number == int(number) else str(number)


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
    return _written_or_counted(column)


def _written_or_counted(column: pa.Array) -> Converted:
    """Times in text: a number counts as a Unix time only where numbers outnumber the times that are written out.

    Otherwise a stray "0" among ISO-8601 times would be 1970; judged by the column, one odd cell fails alone.
    """
    numbers = pd.to_numeric(column.to_pandas(), errors="coerce").to_numpy(dtype=np.float64)
    is_number = np.isfinite(numbers)
    written = _iso(pc.if_else(pa.array(is_number), None, column))
    if is_number.sum() <= len(column) - written.values.null_count:
        return Converted(written.values, written.failed | is_number)
    counted = _unix(numbers, is_number)
    return Converted(pc.coalesce(counted.values, written.values), counted.failed | written.failed)


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
    plausible = (numbers > 0) & (size * scale >= _MIN_MICROS) & (size * scale < _MAX_MICROS)
    good = np.isfinite(numbers) & plausible
    micros = np.where(good, np.rint(np.where(good, numbers, 0.0) * scale), 0).astype(np.int64)
    return Converted(pa.array(micros, mask=~good).cast(TIMESTAMP), present & ~good)


def _strings(column: pa.Array) -> Converted:
    if _is_text(column.type):
        lists = pc.split_pattern(column, LIST_SEPARATOR)
        return Converted(lists.cast(STRINGS), np.zeros(len(column), dtype=bool))
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        raise TypeError(f"expected a list of text, found {column.type}")
    if _is_text(column.type.value_type) or _is_binary(column.type.value_type):
        return _utf8(column, pa.list_(pa.binary()), STRINGS)
    return Converted(column.cast(STRINGS), np.zeros(len(column), dtype=bool))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _present(column: pa.Array) -> Mask:
    valid: Mask = column.is_valid().to_numpy(zero_copy_only=False)
    if _is_text(column.type):
        length = pc.fill_null(pc.utf8_length(pc.utf8_trim_whitespace(column)), 0)
        return np.asarray(valid & (length.to_numpy(zero_copy_only=False) > 0))
    return valid
