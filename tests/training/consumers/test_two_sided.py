from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.training.ranking.world import two_tastes
from training.arrays import Floats
from training.consumers.two_sided import sides_of
from training.ranking.dataset import RankingDataset


@dataclass(frozen=True)
class Counting:
    """A model whose vectors number the rows."""

    space_id: str

    def user_vectors(self, data: RankingDataset) -> Floats:
        return np.arange(len(data.users), dtype=np.float32)[:, None]

    def item_vectors(self, data: RankingDataset | None = None) -> Floats:
        assert data is not None, "the items of the data are published, not those of the model alone"
        return -np.arange(len(data.items), dtype=np.float32)[:, None]


def test_both_sides_are_row_by_row_of_the_data_under_the_space_that_the_model_names() -> None:
    data = two_tastes()
    sides = sides_of(Counting("20261105-ffffffff"), data)
    assert sides.space_id == "20261105-ffffffff"
    assert (sides.users, sides.items) == (data.users, data.items)
    np.testing.assert_array_equal(sides.user_vectors[:, 0], np.arange(60))
    np.testing.assert_array_equal(sides.item_vectors_ID[:, 0], -np.arange(40))
    np.testing.assert_array_equal(sides.user_idx, data.user_idx)
    np.testing.assert_array_equal(sides.item_idx, data.item_idx)
    assert sides.virtual_idx is None
    assert sides.virtual_z is None
