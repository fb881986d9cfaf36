from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from training.bench.multi_interest.problems import Truth
from training.bench.multi_interest.truth import interest_figures

REAL = Truth(
    interests_UC=np.array([[True, True, False], [True, True, True], [False, False, True]]),
    cluster_I=np.array([0, 0, 1, 1, 2, -1]),
)
"""Three users, three clusters of two, two and one items, and an item outside the catalogue."""
ITEMS = np.eye(6, dtype=np.float32)


def _pairs(*pairs: tuple[int, int]) -> sp.csr_matrix:
    matrix = np.zeros((3, 6), np.float32)
    for user, item in pairs:
        matrix[user, item] = 1
    return sp.csr_matrix(matrix)


def test_recall_is_averaged_over_interests_and_coverage_counts_those_shown() -> None:
    scores = np.array([[9, 8, 1, 2, 0, 0], [0, 9, 8, 0, 7, 0], [0, 0, 0, 0, 5, 9]], np.float32)
    truth = _pairs((0, 0), (0, 1), (0, 2), (1, 1), (1, 3), (2, 0))
    recall, coverage, count = interest_figures(scores, ITEMS, _pairs(), truth, REAL, k=2)
    assert recall[0] == (1.0 + 0.0) / 2
    assert coverage[0] == 0.5
    assert recall[1] == (1.0 + 0.0) / 2
    assert coverage[1] == 2 / 3
    assert np.isnan(recall[2])
    assert coverage[2] == 1.0
    assert count.tolist() == [2, 3, 1]


def test_what_was_seen_is_not_listed_and_users_without_targets_are_not_judged() -> None:
    scores = np.tile(np.array([9, 8, 1, 2, 0, 0], np.float32), (3, 1))
    recall, coverage, count = interest_figures(scores, ITEMS, _pairs((0, 0), (0, 1)), _pairs((0, 3)), REAL, k=1)
    assert recall.tolist() == [1.0]
    assert coverage.tolist() == [0.5]
    assert count.tolist() == [2]


def test_the_best_of_several_vectors_makes_the_list() -> None:
    users = np.zeros((3, 2, 6), np.float32)
    users[0, 0, 0], users[0, 1, 2] = 5, 4
    recall, coverage, _ = interest_figures(users, ITEMS, _pairs(), _pairs((0, 0), (0, 2)), REAL, k=2)
    assert recall.tolist() == coverage.tolist() == [1.0]
