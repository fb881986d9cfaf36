from __future__ import annotations

import numpy as np
import pytest

from tests.training.ranking.world import two_tastes
from training.ranking.cut import Cut
from training.ranking.evidence import Evidence, popularity_vectors


def test_popularity_orders_items_by_count_and_users_by_activity() -> None:
    pairs = two_tastes().pairs()
    users, items = popularity_vectors(pairs.where(np.arange(len(pairs)) < 200))
    scores = users @ items.T
    counts = np.bincount(pairs.item_idx[:200], minlength=pairs.num_items)
    assert scores[0].argmax() == counts.argmax()
    assert scores[:, 3].argmax() == np.bincount(pairs.user_idx[:200], minlength=pairs.num_users).argmax()


def test_an_oracle_is_perfect_and_comparable_key_by_key() -> None:
    cut = Cut.at(two_tastes().pairs(), 0.9)
    truth = cut.later.matrix().toarray()
    evidence = Evidence()
    evidence.judge("own", cut, truth, np.eye(truth.shape[1], dtype=np.float32))
    evidence.judge("popularity and activity", cut, *popularity_vectors(cut.known))
    assert evidence.own("recommendation").min() == pytest.approx(1.0)
    assert evidence.own("targeting").min() == pytest.approx(1.0)
    assert evidence.rivals == ["popularity and activity"]
    for task, baseline in evidence.compared_with("popularity and activity"):
        assert len(baseline) == len(evidence.own(task))
        assert baseline.mean() < 1.0
    assert evidence.metrics()["own.ndcg_at_20"] == pytest.approx(1.0)


def test_a_cut_without_held_out_rows_says_nothing_and_asks_nobody() -> None:
    pairs = two_tastes().pairs()
    cut = Cut(pairs, pairs.where(np.zeros(len(pairs), np.bool_)))
    nobody = np.full((1, 1), np.nan, np.float32)
    evidence = Evidence.on(
        cut, lambda: pytest.fail("asked"), {"champion": lambda: pytest.fail("asked")}, (nobody, nobody)
    )
    assert (evidence.scores, evidence.finite) == ({}, False)


def test_held_out_rows_that_are_too_few_to_choose_by_judge_nothing_either() -> None:
    cut = Cut.at(two_tastes().pairs(), 0.9)
    vectors = popularity_vectors(cut.known)
    assert Evidence.on(cut, lambda: vectors, {}, vectors, len(cut.later) + 1).scores == {}
    assert set(Evidence.on(cut, lambda: vectors, {}, vectors, len(cut.later)).scores) == {
        "own",
        "popularity and activity",
    }
