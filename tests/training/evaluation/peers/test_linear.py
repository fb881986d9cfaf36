"""EASE against its definition."""

import numpy as np
import pytest

from training.contracts.errors import AttuneError
from training.evaluation.peers.linear import ease
from training.evaluation.peers.log import TrainingLog


@pytest.fixture
def log():
    rng = np.random.default_rng(1)
    users, items = np.nonzero(rng.random((12, 6)) < 0.5)
    return TrainingLog(12, 6, users, items, np.arange(len(users)))


def test_each_column_is_the_ridge_regression_on_the_other_items(log):
    weights = ease(log, ridge=2.0).item_to_item
    dense = log.matrix.toarray().astype(np.float64)
    for item in range(6):
        others = [i for i in range(6) if i != item]
        X, y = dense[:, others], dense[:, item]
        expected = np.linalg.solve(X.T @ X + 2.0 * np.eye(5), X.T @ y)
        assert np.allclose(weights[others, item], expected, atol=1e-4)
        assert weights[item, item] == 0


def test_a_second_ridge_on_the_same_log_is_not_disturbed_by_the_first(log):
    ease(log, ridge=5.0)
    again = ease(log, ridge=2.0).item_to_item
    fresh = ease(TrainingLog(12, 6, log.user_idx, log.item_idx, log.occurred_at), ridge=2.0).item_to_item
    assert (again == fresh).all()


def test_singular_gram_is_explained():
    lonely = TrainingLog(1, 2, np.array([0]), np.array([0]), np.array([0]))
    with pytest.raises(AttuneError, match="raise the ridge"):
        ease(lonely, ridge=0.0)
