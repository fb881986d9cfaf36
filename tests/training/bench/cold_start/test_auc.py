from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.consumers.cold_start.world import NUM_USERS, TINY, two_groups
from training.bench.cold_start.auc import (
    AucConfig,
    ablation,
    auc,
    auc_table,
    best_epoch,
    gauc,
    group_figures,
    make_auc_task,
    predict,
)
from training.bench.shared.cache import Cache
from training.consumers.cold_start.search import for_mode, started_network

CONFIG = AucConfig(
    model=replace(TINY.model, ranker="mlp"),
    training=replace(TINY.training, loss="bce", negatives="popularity", pretend_new=0.0, num_targets=3),
    max_epochs=1,
)


def test_auc_by_hand() -> None:
    positive = np.array([True, False, True, False])
    assert auc(positive, np.array([3, 2, 2, 1], np.float32)) == (2 + 1.5) / 4
    assert auc(positive, -np.array([3, 2, 2, 1], np.float32)) == 1 - 3.5 / 4
    assert auc(np.ones(2, bool), np.zeros(2, np.float32)) == 0.5


def test_gauc_weighs_users_by_their_positives() -> None:
    users = np.array([0, 0, 1, 1, 1, 1])
    positive = np.array([True, False, True, True, False, False])
    scores = np.array([1, 0, 0, 0, 1, 1], np.float32)
    assert gauc(users, positive, scores) == pytest.approx((1 * 1.0 + 2 * 0.0) / 3)
    assert gauc(users[:0], positive[:0], scores[:0]) == 0.5


def test_a_share_of_the_pairs_is_the_test_with_as_many_negatives() -> None:
    data, new_U = two_groups(), np.arange(NUM_USERS) % 3 == 0
    task = make_auc_task(data, new_U, 0.25, seed=1)
    num_tested = len(data.pairs) - len(task.train.pairs)
    assert num_tested == pytest.approx(0.25 * len(data.pairs), rel=0.2)
    assert int(task.test.positive.sum()) * 2 == len(task.test.positive) == 2 * num_tested
    assert (np.diff(task.test.user_idx) >= 0).all()
    whole, learned = (one.matrix().toarray() for one in (data.pairs, task.train.pairs))
    users, items, positive = task.test.user_idx, task.test.item_idx, task.test.positive
    assert (whole[users[positive], items[positive]] == 1).all()
    assert (learned[users[positive], items[positive]] == 0).all()
    assert (whole[users[~positive], items[~positive]] == 0).all()


def test_new_users_behaviour_cannot_be_seen() -> None:
    data, new_U = two_groups(), np.arange(NUM_USERS) % 3 == 0
    task = make_auc_task(data, new_U, 0.25, seed=1)
    network = started_network(task.train, for_mode(CONFIG.model, "full"), 1)
    kept = task.train.pairs.where(~new_U[task.train.pairs.user_idx])
    without = replace(task, train=task.train.with_pairs(kept))
    network.eval()
    np.testing.assert_array_equal(predict(network, task, 10), predict(network, without, 10))


def test_predictions_are_each_pairs_own_logit() -> None:
    task = make_auc_task(two_groups(), np.zeros(NUM_USERS, bool), 0.25, seed=1)
    network = started_network(task.train, for_mode(CONFIG.model, "base"), 1).eval()
    order = np.random.default_rng(1).permutation(len(task.test.user_idx))
    order = order[np.argsort(task.test.user_idx[order], kind="stable")]
    shuffled = replace(task.test, item_idx=task.test.item_idx[order], positive=task.test.positive[order])
    np.testing.assert_allclose(
        predict(network, replace(task, test=shuffled), 10), predict(network, task, 10)[order], rtol=1e-4, atol=1e-6
    )


def test_groups_are_judged_apart() -> None:
    task = make_auc_task(two_groups(), np.arange(NUM_USERS) < 30, 0.25, seed=1)
    scores = np.where(task.test.user_idx < 30, task.test.positive, ~task.test.positive).astype(np.float32)
    figures = group_figures(task.test, scores, task.new_U)
    assert figures == {"new.auc": 1.0, "new.gauc": 1.0, "old.auc": 0.0, "old.gauc": 0.0}


def test_every_mode_is_run_over_the_seeds_and_printed(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    found = ablation("tiny", "hash", two_groups(), cache, (1, 2), CONFIG)
    assert list(found) == ["none", "single", "base", "full"]
    assert all(len(figures) == 2 for figures in found.values())
    assert ablation("tiny", "hash", two_groups(), cache, (1, 2), CONFIG) == found
    table = auc_table("tiny", found)
    assert "| tiny, 40% made new | new users' AUC |" in table
    assert "| full: whole tower |" in table


def test_one_epoch_is_chosen_for_all_modes_as_far_as_all_have_gone() -> None:
    assert best_epoch([[0.5, 0.7, 0.6, 0.9], [0.5, 0.5, 0.7]]) == 3
    assert best_epoch([[0.5, 0.7], [0.5, 0.4, 0.9]]) == 2


def test_the_lead_over_the_base_is_taken_seed_by_seed() -> None:
    figures = {"new.gauc": 0.5, "old.auc": 0.5, "old.gauc": 0.5}
    base, full = ([{**figures, "new.auc": auc} for auc in aucs] for aucs in ((0.5, 0.7), (0.52, 0.72)))
    rows = auc_table("tiny", {"base": base, "full": full}).splitlines()
    assert rows[3].endswith("| +0.0200 ± 0.0000 |")
    assert rows[2].endswith("|  |")
