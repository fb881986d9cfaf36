from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.consumers.cold_start.world import two_groups
from training.consumers.cold_start.dataset import ColdStartData
from training.consumers.cold_start.linear import LinearStart, token_counts
from training.data.pair_log import PairLog
from training.data.vocabulary import Vocabulary

START = LinearStart(
    values_VC=np.array([[1.0, 0.0], [0.0, 2.0]], np.float32),
    picks_IC=np.array([[0.0, 0.0], [5.0, 5.0], [0.0, 0.0]], np.float32),
    new_C=np.array([0.5, 0.5], np.float32),
    behaviours_IC=np.array([[3.0, 0.0], [0.0, 3.0], [1.0, 1.0]], np.float32),
    old_C=np.array([-1.0, 0.0], np.float32),
    items_IC=np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], np.float32),
    shares_I=np.array([0.1, 0.2, 0.3], np.float32),
)


@pytest.fixture
def data() -> ColdStartData:
    """Return one user with items 0 and 2, one with both values and a pick, and one of whom nothing is known."""
    return replace(
        two_groups(),
        items=Vocabulary(["a", "b", "c"], "item"),
        attribute_idx_UA=np.array([[0, -1], [0, 1], [-1, -1]]),
        pick_idx_UP=np.array([[1], [1], [-1]]),
        pairs=PairLog(
            user_idx=np.array([0, 0]),
            item_idx=np.array([0, 2]),
            occurred_at=np.array([1, 2]),
            num_users=3,
            num_items=3,
            as_of=3,
        ),
    )


def test_an_old_user_is_the_history_and_a_new_one_the_attributes_and_picks(data: ColdStartData) -> None:
    assert START.user_vectors(data).tolist() == [[3.0, 1.0, 1.0], [6.5, 7.5, 1.0], [0.5, 0.5, 1.0]]


def test_scores_are_the_shares_and_what_the_coordinates_add(data: ColdStartData) -> None:
    scores = START.user_vectors(data) @ START.item_vectors().T
    np.testing.assert_allclose(scores[2], [0.6, 0.7, 1.3], rtol=1e-6)


def test_counts_pass_over_padding() -> None:
    assert token_counts(np.array([[2, 2, -1], [-1, 0, 1]]), 3).toarray().tolist() == [[0, 0, 2], [1, 1, 0]]
    assert token_counts(np.full((1, 2), -1), 0).shape == (1, 0)


def test_saved_and_loaded_it_is_the_same(tmp_path: Path, data: ColdStartData) -> None:
    START.save(tmp_path / "start.npz")
    loaded = LinearStart.load(tmp_path / "start.npz")
    np.testing.assert_array_equal(loaded.user_vectors(data), START.user_vectors(data))
    np.testing.assert_array_equal(loaded.item_vectors(), START.item_vectors())
