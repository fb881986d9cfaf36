"""Encode Arrow columns as the bytes that Feast 0.67 stores, a column at a time and without a Python object per value.

Feast's own way is one protobuf message per value. What it makes of each kind of column, nulls included, is written
down here once; the tests hold every function against Feast's. Arrays are `binary`, one value per row, never null.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import mmh3
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.contracts.columns import Kind

FEAST_VERSION = "0.67.0"
"""The version whose bytes these are."""
ENTITY_KEY_VERSION = 3
"""The version of Feast's entity key serialisation that these are."""
TEXT_KINDS: tuple[Kind, ...] = ("string", "bigint", "double", "float")
"""Kinds of which Feast's SQLite store keeps a text as well."""
_STRING_TYPE = struct.pack("<I", 2)
_PACKED = b"\x0a"
"""Tag of the one field of a list message, whose values lie end to end."""
_NULL_TIMESTAMP = -(2**63)
_VARINT_LIMITS = np.array([1 << (7 * n) for n in range(1, 10)], np.uint64)


def entity_keys(join_keys: Sequence[str], columns: Sequence[pa.Array]) -> pa.BinaryArray:
    """Return Feast's entity key of each row; every join key is a string.

    Args:
        join_keys: Names, in any order: Feast sorts them.
        columns: The values of each, without nulls.
    """
    names = sorted(join_keys)
    parts: list[pa.Array | bytes] = [entity_key_prefix(join_keys)]
    for name in names:
        values = columns[join_keys.index(name)].cast(pa.binary())
        parts += [_STRING_TYPE, _fixed_width(_lengths(values).astype("<u4")), values]
    return join(*parts)


def entity_key_prefix(join_keys: Sequence[str], first: str | None = None) -> bytes:
    """Return what the entity keys of these join keys begin with: of all of them, or of those with one first value.

    Args:
        join_keys: Names, in any order.
        first: The value of the join key whose name sorts first.
    """
    names = sorted(join_keys)
    head = struct.pack("<I", len(names)) + b"".join(_STRING_TYPE + _sized(name.encode()) for name in names)
    return head if first is None else head + _STRING_TYPE + _sized(first.encode())


def value_protos(column: pa.Array, kind: Kind) -> pa.BinaryArray:
    """Return the serialised `ValueProto` of each row; a null, and a double that is no number, has no bytes."""
    if kind in ("strings", "timestamps", "floats"):
        tag, elements = _LISTS[kind]
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
        encoded = _message(tag, elements(column.flatten(), np.append(0, np.cumsum(lengths))))
        return _where(column.is_valid(), encoded)
    return _scalars(column, kind)


def value_texts(column: pa.Array, kind: Kind) -> list[str | None]:
    """Return what Feast's SQLite store keeps as `value_text`: scalars as Python prints them, no lists or times."""
    if kind not in TEXT_KINDS:
        return [None] * len(column)
    if kind in ("string", "bigint"):
        return list(column.cast(pa.string()).to_numpy(zero_copy_only=False))
    return [None if value is None or value != value else repr(value) for value in column.to_pylist()]


def timestamp_proto(at: datetime) -> bytes:
    """Return the serialised `Timestamp` that Feast's Redis store keeps per view; `at` is UTC, naive or aware."""
    since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.fromtimestamp(0, UTC)
    seconds, microseconds = divmod(since // timedelta(microseconds=1), 1_000_000)
    fields = {b"\x08": seconds, b"\x10": 1000 * microseconds}
    return b"".join(tag + as_list(_varints(np.array([value])))[0] for tag, value in fields.items() if value)


def sqlite_timestamp(at: datetime) -> int:
    """Return `event_ts` of Feast's SQLite store: Feast takes UTC for this machine's time, and reads it back so."""
    return int(at.replace(tzinfo=None).timestamp())


def hash_field(view: str, feature: str) -> bytes:
    """Return the field of a Redis hash in which Feast keeps a feature."""
    return struct.pack("<I", mmh3.hash(f"{view}:{feature}", signed=False))


def timestamp_field(view: str) -> bytes:
    """Return the field of a Redis hash in which Feast keeps a view's event timestamp."""
    return f"_ts:{view}".encode()


def join(*parts: pa.Array | bytes) -> pa.BinaryArray:
    """Return the parts of each row end to end; a part that is bytes is the same in every row."""
    return pc.binary_join_element_wise(*parts, b"")


def as_list(column: pa.BinaryArray) -> list[bytes]:
    """Return the bytes of each row."""
    return list(column.to_numpy(zero_copy_only=False))


def end_to_end(column: pa.BinaryArray) -> memoryview:
    """Return the bytes of all rows, one after the other, without a copy."""
    offsets = _offsets(column)
    return memoryview(column.buffers()[2] or b"")[offsets[0] : offsets[-1]]


def _scalars(column: pa.Array, kind: Kind) -> pa.BinaryArray:
    if kind == "string":
        return _where(column.is_valid(), _message(b"\x12", pc.fill_null(column, "").cast(pa.binary())))
    if kind == "bigint":
        return _where(column.is_valid(), join(b"\x20", _varints(pc.fill_null(column, 0).to_numpy())))
    if kind == "timestamp":
        seconds = pc.floor(pc.divide(column.cast(pa.int64()).cast(pa.float64()), 1e6)).cast(pa.int64())
        return join(b"\x40", _varints(pc.fill_null(seconds, _NULL_TIMESTAMP).to_numpy()))
    tag, width = (b"\x29", "<f8") if kind == "double" else (b"\x35", "<f4")
    numbers = pc.fill_null(column, float("nan")).to_numpy().astype(width)
    return _where(pa.array(~np.isnan(numbers)), join(tag, _fixed_width(numbers)))


def _string_elements(flat: pa.Array, bounds: NDArray[np.int64]) -> pa.BinaryArray:
    return _regrouped(_message(_PACKED, pc.fill_null(flat, "").cast(pa.binary())), bounds)


def _timestamp_elements(flat: pa.Array, bounds: NDArray[np.int64]) -> pa.BinaryArray:
    seconds = np.trunc(pc.fill_null(flat.cast(pa.int64()), 0).to_numpy() / 1e6).astype(np.int64)
    seconds[flat.is_null().to_numpy(zero_copy_only=False)] = _NULL_TIMESTAMP
    return _packed(_regrouped(_varints(seconds), bounds))


def _float_elements(flat: pa.Array, bounds: NDArray[np.int64]) -> pa.BinaryArray:
    numbers = pc.fill_null(flat, float("nan")).to_numpy().astype("<f4")
    numbers[np.isnan(numbers)] = np.nan  # of the many NaNs, the one that Feast writes for all of them
    return _packed(_regrouped(_fixed_width(numbers), bounds))


_LISTS = {
    "strings": (b"\x62", _string_elements),
    "floats": (b"\x82\x01", _float_elements),
    "timestamps": (b"\x92\x01", _timestamp_elements),
}


def _packed(body: pa.BinaryArray) -> pa.BinaryArray:
    """Return bodies as packed fields; an empty one is left out, as protobuf does."""
    return _where(pa.array(_lengths(body) > 0), _message(_PACKED, body))


def _message(tag: bytes, body: pa.BinaryArray) -> pa.BinaryArray:
    return join(tag, _varints(_lengths(body).astype(np.int64)), body)


def _where(valid: pa.Array, encoded: pa.BinaryArray) -> pa.BinaryArray:
    return encoded if pc.all(valid).as_py() in (True, None) else pc.if_else(valid, encoded, b"")


def _varints(numbers: NDArray[np.int64]) -> pa.BinaryArray:
    """Return each number as a protobuf varint; a negative one takes ten bytes."""
    unsigned = np.ascontiguousarray(numbers, np.int64).view(np.uint64)
    lengths = np.searchsorted(_VARINT_LIMITS, unsigned, side="right") + 1
    width = int(lengths.max(initial=1))
    groups = np.empty((len(unsigned), width), np.uint8)
    for place in range(width):
        groups[:, place] = (unsigned >> np.uint64(7 * place)) & np.uint64(0x7F)
        groups[:, place] |= np.where(lengths > place + 1, 0x80, 0).astype(np.uint8)
    return _binary(groups[np.arange(width) < lengths[:, None]], np.append(0, np.cumsum(lengths)))


def _fixed_width(numbers: NDArray[np.generic]) -> pa.BinaryArray:
    """Return the memory of each number; the type says the order of its bytes."""
    return _binary(numbers, np.arange(len(numbers) + 1) * numbers.dtype.itemsize)


def _regrouped(elements: pa.BinaryArray, bounds: NDArray[np.int64]) -> pa.BinaryArray:
    """Return the elements of each row end to end: row n has those from `bounds[n]` up to `bounds[n + 1]`."""
    return pa.Array.from_buffers(
        pa.binary(),
        len(bounds) - 1,
        [None, pa.py_buffer(_offsets(elements)[bounds].astype(np.int32)), elements.buffers()[2]],
    )


def _binary(data: NDArray[np.generic], offsets: NDArray[np.int64]) -> pa.BinaryArray:
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)


def _lengths(column: pa.BinaryArray) -> NDArray[np.int32]:
    return np.asarray(pc.binary_length(column))


def _offsets(column: pa.BinaryArray) -> NDArray[np.int32]:
    assert column.offset == 0, "made here, and never a slice"
    return np.frombuffer(column.buffers()[1], np.int32)[: len(column) + 1]


def _sized(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data
