from __future__ import annotations

import numpy as np
import pytest

from training.evaluation.peers.attributes import group_popularity_scores, popularity_scores, ridge_scores
from training.evaluation.peers.log import TrainingLog


def _log() -> TrainingLog:
    """Users 0 and 1 interacted with items 0 and 1, users 2 and 3 items 1 and 2."""
    users, items = np.array([0, 0, 1, 1, 2, 2, 3, 3]), np.array([0, 1, 0, 1, 1, 2, 1, 2])
    return TrainingLog(4, 3, users, items, np.arange(8))


def test_popularity_is_the_share_of_users() -> None:
    assert popularity_scores(_log(), 2).tolist() == [[0.5, 1.0, 0.5]] * 2


def test_a_group_is_shrunk_towards_everyone_and_an_unknown_one_gets_everyone() -> None:
    scores = group_popularity_scores(_log(), ["a", "a", "b", "b"], ["a", "c"], shrink=2.0)
    assert scores[0].tolist() == [(2 + 2 * 0.5) / 4, (2 + 2 * 1.0) / 4, (0 + 2 * 0.5) / 4]
    assert scores[1].tolist() == [0.5, 1.0, 0.5]


@pytest.mark.parametrize("base", ["ease", "als"])
def test_ridge_gives_each_attribute_its_groups_items(base: str) -> None:
    attributes = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    new = np.eye(2, dtype=np.float32)
    scores = ridge_scores(_log(), attributes, new, base=base, strength=0.1)
    assert scores.shape == (2, 3)
    assert scores[0, 0] > scores[0, 2]
    assert scores[1, 0] < scores[1, 2]


def test_a_strong_ridge_leaves_the_mean() -> None:
    attributes = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    weak, strong = (
        ridge_scores(_log(), attributes, np.eye(2, dtype=np.float32), base="ease", strength=strength)
        for strength in (0.1, 1e6)
    )
    assert np.abs(strong[0] - strong[1]).max() < np.abs(weak[0] - weak[1]).max() / 100
