import json

import numpy as np

from training.data.input_layout import Block, InputLayout

LAYOUT = InputLayout(
    (
        Block("taste_content_7d", "vector", 0, 2, ("window_7d", "behaviour")),
        Block("country", "one_hot", 2, 5, ("demographics",)),
        Block("activity", "dense", 5, 6, ("behaviour",)),
    ),
    (0.0, 0.0, 1.0, 0.0, 0.0, -1.5),
)


def test_blocks_tile_the_columns():
    assert LAYOUT.num_columns == 6
    assert [block.columns for block in LAYOUT.blocks] == [slice(0, 2), slice(2, 5), slice(5, 6)]


def test_a_group_names_every_column_that_goes_missing_with_it():
    assert LAYOUT.group_names == ("behaviour", "demographics", "window_7d")
    expected = [[1, 1, 0, 0, 0, 1], [0, 0, 1, 1, 1, 0], [1, 1, 0, 0, 0, 0]]
    np.testing.assert_array_equal(LAYOUT.group_columns(), np.array(expected, bool))


def test_columns_are_averaged_by_block_but_for_one_hot_ones():
    np.testing.assert_allclose(np.array([[4, 8, 1, 0, 0, 3]]) @ LAYOUT.column_shares, [[6, 0, 3]])


def test_it_survives_json():
    assert InputLayout.from_dict(json.loads(json.dumps(LAYOUT.to_dict()))) == LAYOUT
