"""Counting peers, by hand."""

import numpy as np
import pytest

from training.evaluation.peers.counts import markov, popularity, recent_popularity
from training.evaluation.peers.log import TrainingLog


def log(*pairs, users=3, items=4):
    user_idx, item_idx = (np.array(side) for side in zip(*pairs, strict=True))
    return TrainingLog(users, items, user_idx, item_idx, np.arange(len(pairs)))


LOG = log((0, 1), (1, 1), (2, 1), (0, 2), (2, 2), (2, 3))
ALL = np.arange(3)


def test_popular_items_and_active_users_come_first():
    scorer = popularity(LOG)
    assert np.argsort(-scorer.item_scores(np.array([0])))[0].tolist() == [1, 2, 3, 0]
    assert np.argsort(-scorer.user_scores(np.array([3])))[0].tolist() == [2, 0, 1]


def test_recent_counts_only_the_tail_and_ranks_users_by_their_last_time():
    scorer = recent_popularity(LOG, share=0.5)
    assert np.argsort(-scorer.item_scores(np.array([0])))[0].tolist()[:2] == [2, 3]
    assert np.argsort(-scorer.user_scores(np.array([0])))[0].tolist() == [2, 0, 1]


def test_transition_shares_by_hand():
    # 1 -> 2 twice at distance 1; 2 -> 3 once; 1 -> 3 once at distance 2
    scorer = markov(LOG, window=2, last=1, shrink=0)
    scores = scorer.item_scores(ALL)
    assert scores[0, 3] == pytest.approx(1.0, abs=1e-5), "user 0 ended on 2, which was only ever followed by 3"
    assert scores[1, 2] == pytest.approx(2 / 2.5, abs=1e-5), "user 1 ended on 1: 2 twice at weight 1, 3 once at 1/2"
    assert scores[1, 3] == pytest.approx(0.5 / 2.5, abs=1e-5)


def test_age_discounts_older_items_and_shrink_dampens():
    both = markov(LOG, window=1, last=2, shrink=0).item_scores(ALL)
    assert both[0, 2] == pytest.approx(1 / 2, abs=1e-5), "item 1 is one step old"
    shrunk = markov(LOG, window=1, last=1, shrink=2).item_scores(ALL)
    assert shrunk[1, 2] == pytest.approx(2 / 4, abs=1e-5)


def test_popularity_breaks_ties_of_users_who_ended_on_a_dead_end():
    scores = markov(LOG, window=1, last=1, shrink=0).item_scores(np.array([2]))[0]
    assert np.argsort(-scores)[0] == 1
