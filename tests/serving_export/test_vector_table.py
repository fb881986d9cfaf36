"""Rows as an Arrow stream: one batch, typed columns, the standing in the metadata."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from serving_export.embeddings import Embeddings, FramedItems
from serving_export.lookup import EmbeddingStore
from serving_export.vector_bytes import NUMBERS, Number, reduce, restore
from serving_export.vector_table import stream_items, stream_users
from tests.serving_export.world import DAY1, World
from training.contracts.frames import frame_of

FRESH_AT = datetime(2026, 11, 2, 7, 30, tzinfo=UTC)
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
        fresh={"u0": FRESH_AT},
    )
    return pa.ipc.open_stream(stream_users(found, rows, users, number)).read_all()


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


def test_only_rows_that_know_later_events_say_of_when() -> None:
    table = read(np.float32([[1], [2]]), "float32")
    assert table["fresh_at"].to_pylist() == [FRESH_AT, None]


def test_items_have_a_column_of_their_own(world: World) -> None:
    (space_id,) = world.promote(DAY1)
    store = EmbeddingStore(world.settings.published_dir)
    found: FramedItems = store.lookup_items(frame_of(space_id), ["i03", "i01"])
    table = pa.ipc.open_stream(stream_items(found, found.vectors, ["i03", "i01"], "float32")).read_all()
    assert table.column_names == ["item_id", "vector"]
    np.testing.assert_array_equal(np.float32(table["vector"].to_pylist()), found.vectors)
    assert table.schema.metadata[b"frame"] == frame_of(space_id).encode()
