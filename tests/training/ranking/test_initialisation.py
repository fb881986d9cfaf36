from __future__ import annotations

import numpy as np

from tests.training.ranking.world import two_tastes
from training.ranking.initialisation import svd_items

DATA = two_tastes()

PAIRS = DATA.pairs()


def test_directions_are_those_of_the_exact_decomposition() -> None:
    matrix = PAIRS.matrix().toarray()
    users, items = matrix.sum(1) + 5, matrix.sum(0) + 5
    _, values, right = np.linalg.svd(matrix / np.sqrt(users)[:, None] / np.sqrt(items)[None, :])
    expected = right[:2].T * values[:2]
    found = svd_items(PAIRS, 4, seed=0)[:, :2]
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-3)


def test_more_directions_than_the_log_has_are_zero() -> None:
    vectors = svd_items(PAIRS, 64, seed=0)
    assert vectors.shape == (40, 64)
    assert not vectors[:, 40:].any()


def test_an_empty_log_starts_at_zero() -> None:
    assert not svd_items(PAIRS.where(np.zeros(len(PAIRS), bool)), 4, 0).any()
