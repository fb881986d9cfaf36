"""Put rows of vectors as bytes with a fixed header, whole or in fewer bits, and read them back.

Numpy and the standard library only: an outside team can copy this one file to read what `/embeddings` answers.

The header takes `HEADER_BYTES`, little-endian: magic `ATTV` (4 bytes), version (uint16), code of the number type
(uint8: 0 float32, 1 float16, 2 int8), flags (uint8, bit 0: stale), count and width (uint32 each), `as_of` (int64,
microseconds since 1970 in UTC), then space and frame (32 bytes each, ASCII padded with NULs) and 8 bytes that are zero.
Then come, for int8 only, one float32 scale per row, and the numbers row by row. An unknown user's row is NaN; of int8,
its scale is.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Number = Literal["float32", "float16", "int8"]
NUMBERS: tuple[Number, ...] = get_args(Number)
MEDIA_TYPE = "application/vnd.attune.vectors"
MAGIC, VERSION = b"ATTV", 1
_HEADER = struct.Struct("<4sHBBIIq32s32s8x")
HEADER_BYTES = _HEADER.size
_STALE = 1
_NAME_BYTES = 32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TYPES: dict[Number, str] = {"float32": "<f4", "float16": "<f2", "int8": "i1"}
_LARGEST_FLOAT16, _LARGEST_INT8 = 65504.0, 127
_LARGEST_SCALE = np.nextafter(np.finfo(np.float32).max / np.float32(_LARGEST_INT8), np.float32(0))
"""Times 127 it is still finite."""


@dataclass(frozen=True, kw_only=True)
class VectorRows:
    """Vectors in the order asked for, and what holds for all of them.

    Attributes:
        vectors: float32 [count, width]; the row of an unknown user is NaN throughout.
        space_id: The space of every vector; never compare them with vectors of another.
        frame: The fixed frame into which they were brought; empty for the space's own coordinates.
        as_of: Exclusive upper bound of what they know, UTC.
        stale: Whether they were older than the server is told to serve unmarked.
        number: The type in which they travelled.
    """

    vectors: Floats
    space_id: str
    as_of: datetime
    frame: str = ""
    stale: bool = False
    number: Number = "float32"

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Bool [count]: whose rows are those of known users."""
        return np.asarray(~np.isnan(self.vectors).any(axis=1))


def encode(rows: VectorRows) -> bytes:
    """Return rows as bytes, their numbers put as `rows.number`.

    Raises:
        ValueError: The name of the space or the frame does not fit in 32 bytes of ASCII.
    """
    numbers, scales = reduce(rows.vectors, rows.number)
    code, flags = NUMBERS.index(rows.number), _STALE if rows.stale else 0
    micros = (rows.as_of - _EPOCH) // timedelta(microseconds=1)
    names = _name(rows.space_id), _name(rows.frame)
    header = _HEADER.pack(MAGIC, VERSION, code, flags, *rows.vectors.shape, micros, *names)
    body = numbers.astype(_TYPES[rows.number], copy=False).tobytes()
    return header + (b"" if scales is None else scales.astype("<f4", copy=False).tobytes()) + body


def decode(data: bytes | bytearray | memoryview) -> VectorRows:
    """Return the rows that `encode` put as bytes; those of float16 and int8 come back as float32.

    Raises:
        ValueError: These are no such bytes, of another version, or not all of them.
    """
    found = len(data)
    if found < HEADER_BYTES or bytes(data[:4]) != MAGIC:
        raise ValueError(f"expected {HEADER_BYTES} bytes that begin with {MAGIC!r}, found {bytes(data[:16])!r}")
    _, version, code, flags, count, width, micros, space_id, frame = _HEADER.unpack_from(data)
    if version != VERSION or code >= len(NUMBERS):
        raise ValueError(f"expected version {VERSION} of vector bytes, found {version} with numbers of type {code}")
    number = NUMBERS[code]
    scale_bytes = 4 * count if number == "int8" else 0
    expected = HEADER_BYTES + scale_bytes + count * width * np.dtype(_TYPES[number]).itemsize
    if found != expected:
        raise ValueError(f"expected {expected} bytes for {count} rows of {width} {number}, found {found}")
    numbers = np.frombuffer(data, _TYPES[number], count * width, HEADER_BYTES + scale_bytes).reshape(count, width)
    scales = np.frombuffer(data, "<f4", count, HEADER_BYTES) if scale_bytes else None
    return VectorRows(
        vectors=restore(numbers, scales),
        space_id=space_id.rstrip(b"\0").decode("ascii"),
        as_of=_EPOCH + timedelta(microseconds=micros),
        frame=frame.rstrip(b"\0").decode("ascii"),
        stale=bool(flags & _STALE),
        number=number,
    )


def reduce(vectors: Floats, number: Number) -> tuple[NDArray[Any], Floats | None]:
    """Return float32 [n, Z] in another type, and for int8 the scale of each row, float32 [n].

    float16 holds sizes up to 65,504; larger ones are put as that. Int8 divides a row by its scale, a 127th of its
    largest size, so that an error is at most half a scale. A row that is NaN stays so.
    """
    if number == "float32":
        return vectors, None
    if number == "float16":
        return np.clip(vectors, -_LARGEST_FLOAT16, _LARGEST_FLOAT16).astype(np.float16), None
    largest = np.abs(vectors).max(axis=1, initial=0)
    scales = np.asarray(np.minimum(largest / np.float32(_LARGEST_INT8), _LARGEST_SCALE), np.float32)
    divisors = np.where(scales > 0, scales, np.inf).astype(np.float32)[:, None]  # also where the scale is NaN
    steps = np.clip(np.rint(np.nan_to_num(vectors) / divisors), -_LARGEST_INT8, _LARGEST_INT8)
    return steps.astype(np.int8), scales


def restore(numbers: NDArray[Any], scales: Floats | None) -> Floats:
    """Return what `reduce` gave as float32 [n, Z] again."""
    values = np.asarray(numbers, np.float32)
    return values if scales is None else values * scales[:, None]


def _name(text: str) -> bytes:
    encoded = text.encode("ascii", "replace")
    if len(encoded) > _NAME_BYTES or not text.isascii() or "\0" in text:
        raise ValueError(f"expected a name of at most {_NAME_BYTES} ASCII characters, found {text!r}")
    return encoded
