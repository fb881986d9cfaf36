"""Rows as an Arrow stream: one batch, typed columns, the standing in the metadata."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from serving_export.embeddings import Embeddings
from serving_export.vector_bytes import NUMBERS, Number, reduce, restore
from serving_export.vector_table import stream

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
matrices = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6), elements=finite)


def read(rows: np.ndarray, number: Number, virtual: tuple[str, ...] = ()) -> pa.Table:
    users = [f"u{n}" for n in range(len(rows))]
    found = Embeddings(
        user_ids=tuple(users),
        vectors=rows,
        unknown=(),
        space_id="20261101-aaaaaaaa",
        partition="2026-11-01",
        as_of=datetime(2026, 11, 2, tzinfo=UTC),
        age=timedelta(hours=1),
        stale=False,
        virtual=virtual,
    )
    return pa.ipc.open_stream(stream(found, rows, users, number)).read_all()


@settings(deadline=None)
@given(matrices, st.sampled_from(NUMBERS))
def test_what_is_read_is_what_was_put(rows: np.ndarray, number: Number) -> None:
    table = read(rows, number)
    found = np.array(table["vector"].to_pylist(), np.float32)
    scales = np.asarray(table["scale"]) if number == "int8" else None
    np.testing.assert_array_equal(restore(found, scales), restore(*reduce(rows, number)))
    assert table["user_id"].to_pylist() == [f"u{n}" for n in range(len(rows))]


@pytest.mark.parametrize(("number", "kind"), [("float32", "float"), ("float16", "halffloat"), ("int8", "int8")])
def test_an_unknown_row_is_null_in_every_type(number: Number, kind: str) -> None:
    table = read(np.float32([[1, 2], [np.nan, np.nan]]), number, virtual=("u0",))
    assert str(table.schema.field("vector").type) == f"fixed_size_list<item: {kind}>[2]"
    assert table["vector"].is_null().to_pylist() == [False, True]
    assert table["virtual"].to_pylist() == [True, False]
    if number == "int8":
        assert table["scale"].is_null().to_pylist() == [False, True]


def test_the_metadata_says_what_holds_for_all() -> None:
    about = read(np.float32([[1]]), "float32").schema.metadata
    assert about[b"space_id"] == b"20261101-aaaaaaaa"
    assert (about[b"as_of"], about[b"stale"], about[b"frame"]) == (b"2026-11-02T00:00:00+00:00", b"False", b"")
