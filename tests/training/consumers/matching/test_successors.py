from __future__ import annotations

import numpy as np

from training.consumers.matching.successors import REACH, TRANSITION_DECAY, Successors
from training.data.pair_log import PairLog


def test_a_user_is_the_mean_of_the_newest_items_nearer_ones_more() -> None:
    """The first user interacted with seven items, the second one, the third none; item i stands on axis i."""
    pairs = PairLog.of(np.array([0] * 7 + [1]), np.array([0, 1, 2, 3, 4, 5, 6, 3]), np.arange(8), 3, 7)
    found = Successors(np.eye(7, dtype=np.float32), np.zeros((7, 7), np.float32)).users(pairs)
    weights = TRANSITION_DECAY ** np.arange(REACH)[::-1]
    np.testing.assert_allclose(found[0], [0, 0, *(weights / weights.sum())], rtol=1e-6)
    np.testing.assert_array_equal(found[1], np.eye(7)[3])
    assert not found[2].any()


def test_what_a_folder_keeps_comes_back_and_nothing_is_none() -> None:
    rng = np.random.default_rng(0)
    kept = Successors(*(rng.normal(size=(4, 2)).astype(np.float32) for _ in range(2)))
    again = Successors.from_arrays({"z_map": np.zeros((1, 1), np.float32), **kept.arrays()}, 4)
    np.testing.assert_array_equal(again.preceding_IR, kept.preceding_IR)
    np.testing.assert_array_equal(again.following_IR, kept.following_IR)
    assert Successors.none(4).arrays() == {}
    assert Successors.from_arrays({}, 4).preceding_IR.shape == (4, 0)


def test_none_has_no_columns() -> None:
    pairs = PairLog.of(np.array([0]), np.array([1]), np.array([0]), 2, 3)
    none = Successors.none(3)
    assert none.users(pairs).shape == (2, 0)
    assert none.following_IR.shape == (3, 0)
