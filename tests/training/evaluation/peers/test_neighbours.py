"""Neighbourhoods on two groups of users who share no items."""

import numpy as np
import pytest

from training.evaluation.peers.log import TrainingLog
from training.evaluation.peers.neighbours import bm25_neighbours, cosine_neighbours


@pytest.fixture
def log():
    pairs = [(u, i) for u in range(4) for i in range(3)] + [(u, i) for u in range(4, 8) for i in range(3, 6)]
    pairs.remove((0, 2))
    users, items = (np.array(side) for side in zip(*pairs, strict=True))
    return TrainingLog(8, 6, users, items, np.arange(len(users)))


def test_cosine_by_hand(log):
    scores = cosine_neighbours(log, neighbours=6).item_scores(np.array([0]))[0]
    assert scores[2] == pytest.approx(2 * 3 / np.sqrt(4 * 3), rel=1e-5), "items 0 and 1 each share 3 of 4 and 3 users"
    assert (scores[3:] == 0).all()


def test_bm25_finds_the_missing_item_of_the_group(log):
    scorer = bm25_neighbours(log, neighbours=3, saturation=1.2, length_share=0.75)
    scores = scorer.item_scores(np.array([0]))[0]
    assert scores[2] > 0
    assert (scores[3:] == 0).all()
    assert scorer.user_scores(np.array([2]))[0, 0] == pytest.approx(scores[2])
