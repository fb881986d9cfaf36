"""Vectors come back from bytes as they were put, and within the stated error where they were put in fewer bits."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from serving_export import vector_bytes
from serving_export.vector_bytes import HEADER_BYTES, NUMBERS, Number, VectorRows, decode, encode, reduce, restore

AS_OF = datetime(2026, 11, 6, tzinfo=UTC)
SPACE = "20261105-1f2e3d4c"
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
matrices = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=9), elements=finite)
names = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=32)
moments = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))


def rows_of(vectors: np.ndarray, number: Number = "float32") -> VectorRows:
    return VectorRows(vectors=np.asarray(vectors, np.float32), space_id=SPACE, as_of=AS_OF, number=number)


@settings(deadline=None)
@given(matrices, names, names, moments, st.booleans())
def test_float32_comes_back_bit_for_bit(vectors, space_id, frame, as_of, stale) -> None:
    rows = VectorRows(vectors=vectors, space_id=space_id, frame=frame, as_of=as_of, stale=stale)
    found = decode(encode(rows))
    assert found.vectors.shape == vectors.shape
    assert found.vectors.tobytes() == vectors.tobytes()
    assert replace(found, vectors=vectors) == rows


@settings(deadline=None)
@given(matrices)
def test_int8_errs_by_at_most_half_a_scale(vectors) -> None:
    found = decode(encode(rows_of(vectors, "int8"))).vectors
    largest = np.abs(vectors.astype(np.float64)).max(axis=1, initial=0)
    # beside half a step, the rounding of the product, and of a scale near the smallest number there is
    allowed = largest / 127 * 0.5001 + 127 * 1.5e-45
    assert (np.abs(found.astype(np.float64) - vectors) <= allowed[:, None]).all()


@settings(deadline=None)
@given(matrices)
def test_float16_errs_by_its_own_rounding_and_is_never_infinite(vectors) -> None:
    found = decode(encode(rows_of(vectors, "float16"))).vectors
    inside = np.abs(vectors) <= 65504
    assert np.isfinite(found).all()
    assert (np.abs(found - vectors)[inside] <= np.abs(vectors[inside]) * 2**-11 + 2**-25).all()
    assert (np.abs(found[~inside]) == 65504).all()


@pytest.mark.parametrize("number", NUMBERS)
def test_an_unknown_row_stays_unknown_beside_known_ones(number: Number) -> None:
    found = decode(encode(rows_of([[1, -2], [np.nan, np.nan], [0, 0]], number)))
    assert found.is_known.tolist() == [True, False, True]
    np.testing.assert_allclose(found.vectors[[0, 2]], [[1, -2], [0, 0]], rtol=0.01)


def test_the_header_is_as_described() -> None:
    data = encode(replace(rows_of([[1.5, 2.5, -1.0]]), frame="f1", stale=True))
    assert HEADER_BYTES == 96
    assert data[:8] == b"ATTV\x01\x00\x00\x01"
    assert struct.unpack("<IIq", data[8:24]) == (1, 3, round(AS_OF.timestamp() * 1e6))
    assert data[24:56].rstrip(b"\0") == SPACE.encode()
    assert data[56:88].rstrip(b"\0") == b"f1"
    assert np.frombuffer(data[96:], "<f4").tolist() == [1.5, 2.5, -1.0]


def test_int8_carries_a_scale_per_row_before_its_numbers() -> None:
    data = encode(rows_of([[127, -63.5], [0, 0]], "int8"))
    assert np.frombuffer(data[96:104], "<f4").tolist() == [1.0, 0.0]
    assert np.frombuffer(data[104:], "i1").tolist() == [127, -64, 0, 0]


def test_no_rows_and_no_columns_come_back_too() -> None:
    for shape in ((0, 4), (3, 0)):
        for number in NUMBERS:
            assert decode(encode(rows_of(np.zeros(shape), number))).vectors.shape == shape


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_other_bytes_are_refused_not_misread(data: bytes) -> None:
    with pytest.raises(ValueError, match="expected"):
        decode(data)


def test_cut_or_foreign_bytes_say_what_was_found() -> None:
    whole = encode(rows_of([[1, 2]]))
    with pytest.raises(ValueError, match="expected 104 bytes for 1 rows of 2 float32, found 103"):
        decode(whole[:-1])
    with pytest.raises(ValueError, match="expected version 1 of vector bytes, found 9"):
        decode(whole[:4] + b"\x09" + whole[5:])


def test_a_name_that_does_not_fit_is_refused() -> None:
    for name in ("x" * 33, "ä", "a\0b"):
        with pytest.raises(ValueError, match="at most 32 ASCII"):
            encode(replace(rows_of([[1]]), space_id=name))


def test_microseconds_are_kept() -> None:
    at = AS_OF + timedelta(microseconds=1)
    assert decode(encode(replace(rows_of([[1]]), as_of=at))).as_of == at


def test_restoring_is_what_decoding_does() -> None:
    vectors = np.float32([[3, -1, 0.2]])
    for number in NUMBERS:
        np.testing.assert_array_equal(
            restore(*reduce(vectors, number)), decode(encode(rows_of(vectors, number))).vectors
        )


def test_the_file_reads_answers_wherever_it_is_copied_to(tmp_path: Path) -> None:
    shutil.copy(Path(vector_bytes.__file__), tmp_path / "vector_bytes.py")
    about = {"space_id": "20261101-aaaaaaaa", "as_of": datetime(2026, 11, 2, tzinfo=UTC)}
    (tmp_path / "answer").write_bytes(encode(VectorRows(vectors=np.float32([[1, 2]]), **about)))
    code = "from vector_bytes import decode; import sys; print(decode(open('answer', 'rb').read()).vectors.tolist())"
    ours = "print([name for name in sys.modules if name in ('training', 'serving_export')])"
    command = [sys.executable, "-c", f"{code}; {ours}"]
    found = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=True)
    assert found.stdout == "[[1.0, 2.0]]\n[]\n"
