import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from training.representation.content import ContentEncoder
from training.representation.item_space import ItemSpace
from training.representation.item_table import UNIT, build_item_table, quantise

ITEMS = ("a", "b", "c")


@pytest.fixture
def space() -> ItemSpace:
    rows = [["category=x"], ["category=x"], ["category=y"], ["category=y"]]
    return ItemSpace(
        item_space_id="20260101-00000000",
        partition="2026-01-01",
        item_ids=ITEMS,
        collaborative=np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32),
        content=np.array([[0, 1], [0, 1], [1, 0]], np.float32),
        encoder=ContentEncoder.learn(rows, width=2, seed=1),
        basis="20260101-00000000",
    )


def profile(**categories: str) -> pd.DataFrame:
    rows = [
        {"item_id": item, "category": category, "subcategory": "unknown", "title": "unknown", "attributes": []}
        for item, category in categories.items()
    ]
    return pd.DataFrame(rows, columns=["item_id", "category", "subcategory", "title", "attributes"])


def test_quantised_rows_count_themselves_and_end_with_no_vector():
    values = quantise(np.array([[0.5, -0.25]], np.float32))
    np.testing.assert_array_equal(values, [[UNIT // 2, -UNIT // 4, 1], [0, 0, 1]])


def test_items_are_located_and_strangers_get_the_last_row(space):
    table = build_item_table(space, profile(a="x"))
    assert table.locate(pa.array(["c", "nobody", "a"])).tolist() == [2, 3, 0]
    assert table.width == 2
    assert table.late == {}


def test_a_late_item_joins_with_the_digest_of_its_row(space):
    table = build_item_table(space, profile(a="x", bb="x"))
    assert table.item_ids.to_pylist() == ["a", "b", "bb", "c"]
    assert set(table.late) == {"bb"}
    assert table.late != build_item_table(space, profile(bb="y")).late


def lists(*rows: list[str] | None) -> pa.ListArray:
    return pa.array(rows, pa.list_(pa.string()))


def test_picks_are_summed_exactly_and_strangers_ignored(space):
    table = build_item_table(space, profile(a="x"))
    picked = table.picks(lists(["a", "b", "nobody"], None, ["c", "c"]), lists([], None, []))
    np.testing.assert_array_equal(picked[0], [UNIT, UNIT, 0, 2 * UNIT, 2])
    np.testing.assert_array_equal(picked[1], np.zeros(5))
    np.testing.assert_array_equal(picked[2], 2 * table.values[2])


def test_a_category_counts_as_the_direction_of_its_items(space):
    table = build_item_table(space, profile(a="x", b="x", c="y"))
    (picked,) = table.picks(lists([]), lists(["x", "no such category"]))
    assert picked[-1] == 1
    np.testing.assert_allclose(picked[:2] / UNIT, [2**-0.5, 2**-0.5], atol=1e-5)
    np.testing.assert_allclose(picked[2:4] / UNIT, [0, 1], atol=1e-5)


def test_everyones_picks_are_the_sums_of_their_rows(space):
    table = build_item_table(space, profile(a="x", b="x", c="y"))
    generator = np.random.default_rng(3)
    items = [list(generator.choice(["a", "b", "c", "nobody"], n)) for n in generator.integers(0, 5, 200)]
    categories = [list(generator.choice(["x", "y", "none"], n)) for n in generator.integers(0, 3, 200)]
    known = dict(zip(ITEMS, table.values, strict=False)) | table.categories
    expected = np.zeros((200, 5), np.int64)
    for user, picks in enumerate([*map(list.__add__, items, categories)]):
        for name in picks:
            expected[user] += known.get(name, 0)
    np.testing.assert_array_equal(table.picks(lists(*items), lists(*categories)), expected)


def test_nobody_picks_nothing(space):
    assert build_item_table(space, profile(a="x")).picks(lists(), lists()).shape == (0, 5)
