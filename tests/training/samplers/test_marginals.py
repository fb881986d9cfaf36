from __future__ import annotations

import numpy as np
import pytest

from training.samplers.marginals import Marginals


def test_frequencies_of_samples_with_smoothing() -> None:
    found = Marginals.of_samples(np.array([0, 0, 1]), np.array([2, 2, 2]), 2, 3, smoothing=1.0)
    np.testing.assert_allclose(np.exp(found.log_p_users_U), [3 / 5, 2 / 5], rtol=1e-6)
    np.testing.assert_allclose(np.exp(found.log_p_items_I), [1 / 6, 1 / 6, 4 / 6], rtol=1e-6)


def test_probabilities_sum_to_one_and_unseen_ids_are_finite() -> None:
    rng = np.random.default_rng(0)
    found = Marginals.of_samples(rng.integers(0, 5, 40), rng.integers(0, 7, 40), 9, 11)
    assert np.exp(found.log_p_users_U).sum() == pytest.approx(1, abs=1e-5)
    assert np.isfinite(found.log_p_items_I).all()


def test_samples_count_not_users() -> None:
    often = Marginals.of_samples(np.zeros(100, np.int64), np.zeros(100, np.int64), 2, 2, smoothing=0.01)
    assert often.log_p_users_U[0] > often.log_p_users_U[1] + 5


def test_no_sample_is_uniform() -> None:
    none = Marginals.of_samples(np.zeros(0, np.int64), np.zeros(0, np.int64), 4, 5)
    np.testing.assert_allclose(np.exp(none.log_p_users_U), 0.25, rtol=1e-6)
