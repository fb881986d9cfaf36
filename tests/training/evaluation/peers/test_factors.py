"""Factor models on two groups of users who share no items."""

import numpy as np
import pytest

from training.evaluation.peers.factors import als, bpr, untrained_svd
from training.evaluation.peers.log import TrainingLog


@pytest.fixture
def log():
    pairs = [(u, i) for u in range(6) for i in range(5)] + [(u, i) for u in range(6, 12) for i in range(5, 10)]
    pairs = [p for p in pairs if p not in {(0, 4), (6, 9)}]
    users, items = (np.array(side) for side in zip(*pairs, strict=True))
    return TrainingLog(12, 10, users, items, np.arange(len(users)))


FITS = {
    "als": lambda log, seed=0: als(log, factors=4, alpha=1.0, regularisation=0.05, seed=seed),
    "bpr": lambda log, seed=0: bpr(log, factors=8, learning_rate=0.05, sweeps=200, regularisation=0.01, seed=seed),
    "svd": lambda log, seed=0: untrained_svd(log, factors=2, gamma=1.0, activity=0.0),
}


@pytest.mark.parametrize("name", FITS)
def test_the_groups_missing_item_beats_the_other_groups_items(log, name):
    scores = FITS[name](log).item_scores(np.array([0, 6]))
    assert scores[0, 4] > scores[0, 5:].max()
    assert scores[1, 9] > scores[1, :5].max()


@pytest.mark.parametrize("name", FITS)
def test_both_sides_are_one_score(log, name):
    scorer = FITS[name](log)
    by_user, by_item = scorer.item_scores(np.arange(12)), scorer.user_scores(np.arange(10))
    assert np.allclose(by_user, by_item.T, atol=1e-4)


def test_als_follows_its_seed(log):
    one, same, other = (FITS["als"](log, seed).item_scores(np.arange(12)) for seed in (1, 1, 2))
    assert np.allclose(one, same, atol=1e-5)
    assert not np.allclose(one, other, atol=1e-5)


def test_svd_score_is_the_stated_sum(log):
    plain = untrained_svd(log, factors=2, gamma=0.5, activity=0.0).item_scores(np.arange(12))
    twice = untrained_svd(log, factors=2, gamma=1.0, activity=0.0).item_scores(np.arange(12))
    popular = np.log(log.item_counts + 0.5)
    assert np.allclose(2 * (plain - popular), twice - popular, atol=1e-4)
    assert np.abs(twice - popular).max() <= 10.001, "a cosine over a temperature of 0.1"
    active = untrained_svd(log, factors=2, gamma=1.0, activity=1.0).item_scores(np.arange(12))
    assert np.allclose(active - twice, np.log(log.user_counts)[:, None], atol=1e-4)


def test_more_factors_than_items_are_cut_down(log):
    assert untrained_svd(log, factors=64, gamma=1.0, activity=0.0).item_scores(np.array([0])).shape == (1, 10)
