"""Scorers seen from both sides agree with the whole matrix."""

import numpy as np
import pytest
import scipy.sparse as sp

from training.evaluation.peers.log import OuterScorer, ProductScorer, TrainingLog


@pytest.fixture
def log():
    return TrainingLog(2, 3, np.array([0, 1, 0]), np.array([0, 0, 2]), np.array([1, 2, 3]))


def test_matrix_and_counts(log):
    assert log.matrix.toarray().tolist() == [[1, 0, 1], [1, 0, 0]]
    assert log.item_counts.tolist() == [2, 0, 1]
    assert log.user_counts.tolist() == [2, 1]


def test_once_computes_once_per_key(log):
    calls = []
    assert log.once(("a",), lambda: calls.append(1) or 5) == 5
    assert log.once(("a",), lambda: calls.append(1) or 6) == 5
    assert log.once(("b",), lambda: 7) == 7
    assert calls == [1]


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_product_scorer_from_both_sides(log, form):
    weights = np.arange(9, dtype=np.float32).reshape(3, 3)
    bias = np.array([0, 10, 20], np.float32)
    scorer = ProductScorer(log.matrix, form(weights), bias)
    whole = log.matrix.toarray() @ weights + bias
    assert np.allclose(scorer.item_scores(np.array([1, 0])), whole[[1, 0]])
    assert np.allclose(scorer.user_scores(np.array([2, 0])), whole[:, [2, 0]].T)


def test_outer_scorer_gives_everyone_the_same_order():
    scorer = OuterScorer(np.array([1, 2, 3], np.float32), np.array([5, 4], np.float32))
    assert scorer.item_scores(np.array([0, 1, 1])).tolist() == [[1, 2, 3]] * 3
    assert scorer.user_scores(np.array([2])).tolist() == [[5, 4]]
