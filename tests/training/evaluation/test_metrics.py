"""Hand-sized oracles of the ranking metrics; with ATTUNE_PEERS and ATTUNE_BENCH_DATA set, also an outside scorer."""

import importlib.util
import math
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from training.contracts.errors import AttuneError
from training.evaluation import metrics as ranking
from training.evaluation.metrics import VectorScorer, evaluate, score_lists, top_k


def matrix(rows):
    return sp.csr_matrix(np.array(rows, np.float32))


def summary_of(lists, truth, k):
    """Return the summary at k of lists of names by key; a key of `truth` without a list scores zero."""
    ids = {name: idx for idx, name in enumerate({x for rel in truth.values() for x in rel})}
    top = np.full((len(truth), k), -1, np.int64)
    for row, key in enumerate(truth):
        for place, name in enumerate(list(lists.get(key, ()))[:k]):
            # ids outside every truth cannot hit, but a repeated one is still an error: number them past the end
            top[row, place] = ids.setdefault(name, len(ids))
    pairs = [(row, ids[name]) for row, rel in enumerate(truth.values()) for name in set(rel)]
    rows, columns = (np.array(side, np.int64) for side in (zip(*pairs, strict=True) if pairs else ((), ())))
    matrix = sp.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), (len(truth), max(len(ids), 1)))
    return score_lists(np.arange(len(truth), dtype=np.int64), top, matrix).summary(k)


def test_metrics_by_hand():
    scores = summary_of({"a": ["x", "y", "z"], "b": ["z"]}, {"a": {"y", "w"}, "b": {"z"}, "c": {"x"}}, k=2)
    ndcg_a = (1 / math.log2(3)) / (1 + 1 / math.log2(3))
    assert scores["recall@2"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert scores["ndcg@2"] == pytest.approx((ndcg_a + 1 + 0) / 3)
    assert scores["hr@2"] == pytest.approx(2 / 3)
    assert scores["n"] == 3
    assert scores["se_ndcg"] == pytest.approx(np.std([ndcg_a, 1, 0]) / math.sqrt(3))


def test_ideal_list_is_cut_at_k():
    assert summary_of({"a": ["x"]}, {"a": {"x", "y", "z"}}, k=1)["ndcg@1"] == 1.0


def test_empty_truth_gives_zeros():
    assert summary_of({"a": ["x"]}, {}, k=5) == {
        "recall@5": 0.0,
        "ndcg@5": 0.0,
        "hr@5": 0.0,
        "n": 0.0,
        "se_ndcg": 0.0,
    }


def test_repeated_id_is_an_error_even_when_irrelevant():
    with pytest.raises(AttuneError, match="twice"):
        summary_of({"a": ["q", "q"]}, {"a": {"x"}}, k=2)
    assert summary_of({"a": ["x", "q", "q"]}, {"a": {"x"}}, k=1)["hr@1"] == 1.0


def test_both_sides_by_hand():
    users, items = np.eye(2, dtype=np.float32), np.array([[3, 1], [2, 2], [1, 3]], np.float32)
    train, test = matrix([[1, 0, 0], [0, 0, 0]]), matrix([[0, 1, 0], [0, 0, 1]])
    both = evaluate(VectorScorer(users, items), train, test, k=1)
    assert both.recommendation.keys.tolist() == [0, 1]
    assert both.recommendation.hits.tolist() == [[True], [True]], "item 0 was seen by user 0, item 2 is user 1's best"
    assert both.targeting is not None
    assert both.targeting.keys.tolist() == [1, 2], "item 0 has nothing held out"
    assert both.targeting.hits.tolist() == [[True], [True]]
    assert set(both.summary(1)) == {
        p + n for p in ("", "target_") for n in ("recall@1", "ndcg@1", "hr@1", "n", "se_ndcg")
    }


def test_without_targeting_only_one_side_is_ranked():
    scorer = VectorScorer(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32))
    both = evaluate(scorer, matrix([[0, 1], [0, 0]]), matrix([[1, 0], [0, 0]]), k=1, targeting=False)
    assert both.targeting is None
    assert both.summary(1)["n"] == 1


def test_seen_items_never_fill_a_list():
    top = top_k(lambda rows: np.ones((len(rows), 3), np.float32), np.array([0]), 3, 3, matrix([[1, 0, 1]]))
    assert sorted(top[0].tolist()) == [-1, -1, 1]
    assert top[0, 0] == 1


def test_chunks_do_not_change_the_lists(monkeypatch):
    rng = np.random.default_rng(0)
    scores, seen = rng.normal(size=(37, 11)).astype(np.float32), sp.random(37, 11, 0.3, "csr", np.float32, rng)
    keys = rng.permutation(37)
    whole = top_k(lambda rows: scores[rows], keys, 11, 4, seen)
    monkeypatch.setattr(ranking, "SCORES_PER_CHUNK", 50)
    assert (top_k(lambda rows: scores[rows], keys, 11, 4, seen) == whole).all()
    masked = np.where(seen.toarray() > 0, -np.inf, scores)
    expected = np.argsort(-masked[keys], axis=1)[:, :4]
    unseen = np.isfinite(np.take_along_axis(masked[keys], expected, axis=1))
    assert (whole == np.where(unseen, expected, -1)).all()


def test_smaller_k_is_read_from_the_longer_list():
    long = score_lists(np.array([0]), np.array([[2, 1, 0]]), matrix([[1, 1, 0]]))
    short = score_lists(np.array([0]), np.array([[2, 1]]), matrix([[1, 1, 0]]))
    for name in ("recall", "ndcg", "hit_rate"):
        assert getattr(long, name)(2) == pytest.approx(getattr(short, name)(2))


def test_list_shorter_than_k_still_divides_by_the_ideal_at_k():
    short = score_lists(np.array([0]), np.array([[0]]), matrix([[1, 1]]))
    assert short.ndcg(2)[0] == pytest.approx(1 / (1 + 1 / math.log2(3)))


@pytest.mark.skipif("ATTUNE_PEERS" not in os.environ, reason="ATTUNE_PEERS names no outside scorer")
def test_agrees_with_the_outside_scorer_on_the_same_lists():
    spec = importlib.util.spec_from_file_location("outside_scorer", Path(os.environ["ATTUNE_PEERS"]))
    outside = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(outside)
    rng = np.random.default_rng(3)
    truth = {u: set(rng.choice(200, rng.integers(1, 40), replace=False).tolist()) for u in range(300)}
    lists = {u: rng.permutation(200)[: rng.integers(0, 60)].tolist() for u in range(0, 300, 2)}
    for k in (1, 10, 20, 50):
        ours, theirs = summary_of(lists, truth, k), outside.rank_metrics(lists, truth, k)
        for name in theirs:
            assert ours[name] == pytest.approx(theirs[name], abs=1e-6), name


def test_a_user_of_several_vectors_is_scored_by_the_best_of_them() -> None:
    users = np.array([[[1, 0], [0, 1]], [[-1, 0], [0, -2]]], np.float32)
    items = np.array([[3, 5], [2, -4], [1, 1]], np.float32)
    scorer = VectorScorer(users, items)
    assert scorer.item_scores(np.array([0, 1])).tolist() == [[5, 2, 1], [-3, 8, -1]]
    assert scorer.user_scores(np.array([2, 0])).tolist() == [[1, -1], [5, -3]]
    single = VectorScorer(users[:, 0], items)
    assert single.item_scores(np.array([1])).tolist() == [[-3, -2, -1]]


def test_a_sample_of_keys_is_the_same_for_every_scorer_and_keeps_their_figures() -> None:
    rng = np.random.default_rng(0)
    seen, truth = (sp.csr_matrix((rng.random((60, 40)) < share).astype(np.float32)) for share in (0.2, 0.1))
    scorers = [VectorScorer(*(rng.normal(size=(n, 4)).astype(np.float32) for n in (60, 40))) for _ in range(2)]
    some, other = (evaluate(scorer, seen, truth, 10, max_keys=15) for scorer in scorers)
    whole = evaluate(scorers[0], seen, truth, 10)
    for part, rival, every in (
        (some.recommendation, other.recommendation, whole.recommendation),
        (some.targeting, other.targeting, whole.targeting),
    ):
        assert len(part.keys) == 15 < len(every.keys)
        assert part.keys.tolist() == rival.keys.tolist()
        np.testing.assert_array_equal(part.ndcg(10), every.ndcg(10)[np.isin(every.keys, part.keys)])
    assert evaluate(scorers[0], seen, truth, 10, max_keys=60).recommendation.keys.tolist() == [
        *whole.recommendation.keys
    ]
