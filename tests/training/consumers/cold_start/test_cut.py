from __future__ import annotations

import numpy as np
import pytest

from tests.training.consumers.cold_start.world import NUM_USERS, two_groups
from training.consumers.cold_start import cut as cold_start_cut
from training.consumers.cold_start.cut import CUT, GROUPS, Cut

NEW_SHARE, OLD_SHARE, SEED = 0.2, 0.1, 17


def test_the_cut_hides_new_users_whole_and_old_users_newest_pairs() -> None:
    data = two_groups()
    cut = Cut.of(data, NEW_SHARE, OLD_SHARE, SEED)
    new = np.flatnonzero(np.diff(cut.new_UI.indptr))
    old = np.flatnonzero(np.diff(cut.old_UI.indptr))
    assert len(new) == int(56 * NEW_SHARE)
    assert not set(new) & set(old)
    assert not set(new) & set(cut.known.pairs.user_idx.tolist())
    assert not cut.known.x_mask_UF[new].any()
    assert cut.known.pairs.occurred_at.max() < data.pairs.instant_at(0.9)
    later = data.pairs.since(data.pairs.instant_at(0.9))
    assert cut.old_UI.nnz == int((~np.isin(later.user_idx, new)).sum())
    assert cut.new_UI.nnz == 8 * len(new)


def test_the_seed_draws_who_is_new() -> None:
    first, same, other = (Cut.of(two_groups(), NEW_SHARE, OLD_SHARE, seed) for seed in (1, 1, 2))
    assert (first.new_UI != same.new_UI).nnz == 0
    assert (first.new_UI != other.new_UI).nnz > 0


def test_vectors_that_know_what_is_held_out_are_ranked_best() -> None:
    cut = Cut.of(two_groups(), NEW_SHARE, OLD_SHARE, SEED)
    known = (cut.new_UI + cut.old_UI).toarray()
    scores = cut.judge(known, np.eye(known.shape[1], dtype=np.float32))
    assert set(scores) == set(GROUPS)
    assert all(one.summary(CUT)["ndcg@20"] == pytest.approx(1.0) for one in scores.values())
    assert len(known) == NUM_USERS


def test_of_many_users_some_are_judged_and_those_alone_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Cut.of(two_groups(), NEW_SHARE, OLD_SHARE, SEED)
    monkeypatch.setattr(cold_start_cut, "MAX_JUDGED", 5)
    cut = Cut.of(two_groups(), NEW_SHARE, OLD_SHARE, SEED)
    for some, every in ((cut.new_UI, whole.new_UI), (cut.old_UI, whole.old_UI)):
        kept = np.flatnonzero(np.diff(some.indptr))
        assert len(kept) == 5
        assert (some[kept] != every[kept]).nnz == 0
    assert cut.known.pairs.user_idx.tolist() == whole.known.pairs.user_idx.tolist()
    vectors = np.random.default_rng(0).normal(size=(NUM_USERS, 60)).astype(np.float32)
    others = np.setdiff1d(np.arange(NUM_USERS), cut.judged_users)
    without = vectors.copy()
    without[others] = 0
    items = np.eye(60, dtype=np.float32)
    for group, scores in cut.judge(vectors, items).items():
        np.testing.assert_array_equal(cut.judge(without, items)[group].hits, scores.hits)
