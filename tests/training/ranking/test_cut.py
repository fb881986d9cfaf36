from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from tests.training.ranking.world import two_tastes
from training.data.pair_log import PairLog
from training.evaluation.metrics import VectorScorer, evaluate
from training.ranking import cut as matching_validation
from training.ranking.cut import CUT, Cut, judged_keys, sides


def test_a_cut_holds_out_known_ids_and_unseen_pairs_alone() -> None:
    pairs = two_tastes().pairs()
    cut = Cut.at(pairs, 0.8)
    assert len(cut.known) == pytest.approx(0.8 * len(pairs), abs=1)
    assert cut.known.occurred_at.max() < cut.later.occurred_at.min()
    assert cut.known.matrix().multiply(cut.later.matrix()).nnz == 0
    assert set(cut.later.user_idx) <= set(cut.known.user_idx)


def test_nothing_later_reaches_what_was_known() -> None:
    pairs = two_tastes().pairs()
    cut = Cut.at(pairs, 0.5)
    moved = pairs.where(np.arange(len(pairs)) < len(pairs) - 5)
    again = Cut.at(moved, (0.5 * len(pairs)) / len(moved))
    np.testing.assert_array_equal(cut.known.item_idx, again.known.item_idx)


def test_both_sides_agree_with_the_full_scorer() -> None:
    cut = Cut.at(two_tastes().pairs(), 0.8)
    rng = np.random.default_rng(0)
    users = rng.normal(size=(cut.known.num_users, 3)).astype(np.float32)
    items = rng.normal(size=(cut.known.num_items, 3)).astype(np.float32)
    user_terms, item_terms = rng.normal(size=len(users)), rng.normal(size=len(items))
    recommend, target = sides(cut, users, items, seed=0)
    folded_users = np.column_stack([0.5 * users, user_terms, np.ones(len(users))]).astype(np.float32)
    folded_items = np.column_stack([items, np.ones(len(items)), item_terms]).astype(np.float32)
    full = evaluate(VectorScorer(folded_users, folded_items), cut.known.matrix(), cut.later.matrix(), CUT)
    np.testing.assert_allclose(recommend.judge(0.5, item_terms)[:, 1], full.recommendation.ndcg(CUT))
    assert full.targeting is not None
    np.testing.assert_allclose(target.judge(0.5, user_terms)[:, 0], full.targeting.recall(CUT))


def test_the_last_item_of_each_user_validates_whenever_it_was() -> None:
    pairs = PairLog(
        user_idx=np.array([0, 1, 0, 2, 1]),
        item_idx=np.array([0, 0, 1, 2, 1]),
        occurred_at=np.array([1, 2, 3, 4, 5]),
        num_users=3,
        num_items=3,
        as_of=9,
    )
    cut = Cut.last_items(pairs)
    assert list(zip(cut.known.user_idx, cut.known.item_idx, strict=True)) == [(0, 0), (1, 0)]
    assert len(cut.later) == 0
    longer = replace(pairs, item_idx=np.array([1, 0, 0, 2, 1]))
    assert Cut.last_items(longer).later.item_idx.tolist() == [0, 1]
    assert cut.known.as_of == 9


def test_of_several_vectors_the_largest_product_is_judged_on_both_sides() -> None:
    cut = Cut.at(two_tastes().pairs(), 0.8)
    rng = np.random.default_rng(0)
    users = rng.normal(size=(cut.known.num_users, 3, 4)).astype(np.float32)
    items = rng.normal(size=(cut.known.num_items, 4)).astype(np.float32)
    recommend, target = sides(cut, users, items, seed=0)
    full = evaluate(VectorScorer(users, items), cut.known.matrix(), cut.later.matrix(), CUT)
    np.testing.assert_allclose(recommend.judge(1.0, np.zeros(len(items)))[:, 1], full.recommendation.ndcg(CUT))
    assert full.targeting is not None
    np.testing.assert_allclose(target.judge(1.0, np.zeros(len(users)))[:, 1], full.targeting.ndcg(CUT))


def test_those_drawn_are_known_before_any_score(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pairs = PairLog.of(rng.integers(0, 300, 3000), rng.integers(0, 40, 3000), np.arange(3000), 300, 40).distinct()
    cut = Cut.at(pairs, 0.8)
    monkeypatch.setattr(matching_validation, "MAX_SCORES", 40 * 60)
    drawn = judged_keys(cut.later.matrix(), 5)
    users, items = (rng.normal(size=(n, 3)).astype(np.float32) for n in (300, 40))
    whole, _ = sides(cut, users, items, 5)
    users[np.setdiff1d(np.arange(300), drawn)] = np.nan
    some, _ = sides(cut, users, items, 5)
    assert len(drawn) == 60 < len(np.unique(cut.later.user_idx))
    assert whole.keys.tolist() == drawn.tolist()
    np.testing.assert_array_equal(some.scores_KC.numpy(), whole.scores_KC.numpy())


def test_of_a_small_catalogue_no_more_are_judged_than_a_mean_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = sp.csr_matrix(np.ones((90, 5), np.float32))
    assert len(judged_keys(truth, 5)) == 90
    monkeypatch.setattr(matching_validation, "MAX_JUDGED", 70)
    assert len(judged_keys(truth, 5)) == 70
    assert judged_keys(truth, 5).tolist() == judged_keys(truth, 5).tolist() != judged_keys(truth, 6).tolist()
    monkeypatch.setattr(matching_validation, "MAX_SCORES", 5 * 60)
    assert len(judged_keys(truth, 5)) == 60


def test_what_validates_is_later_and_between_known_ids() -> None:
    users, items = np.array([0, 1, 0, 1, 2, 0]), np.array([0, 1, 2, 0, 1, 9])
    cut = Cut.at(PairLog.of(users, items, np.arange(6), 3, 10), 0.5)
    assert cut.known.item_idx.tolist() == [0, 1, 2]
    assert list(zip(cut.later.user_idx.tolist(), cut.later.item_idx.tolist(), strict=True)) == [(1, 0)]
