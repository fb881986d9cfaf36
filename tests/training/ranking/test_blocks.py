from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training.ranking.world import DAY, two_tastes
from training.ranking.blocks import BlockConfig, Blocks, hide, target_weights

PAIRS = two_tastes().pairs()
CONFIG = BlockConfig(block_users=16, hidden_share=0.3, half_life_share=0.3)


def test_an_epoch_deals_every_user_once_and_every_row_to_one_part() -> None:
    blocks = list(Blocks(PAIRS, CONFIG).epoch(np.random.default_rng(0)))
    assert sum(block.size for block in blocks) == PAIRS.num_users
    assert sum(len(block.shown_item_idx) + len(block.target_item_idx) for block in blocks) == len(PAIRS)
    hidden = sum(len(block.target_item_idx) for block in blocks) / len(PAIRS)
    assert hidden == pytest.approx(CONFIG.hidden_share, abs=0.06)


def test_one_row_of_a_user_always_stays_shown() -> None:
    place = np.array([0, 0, 1, 2, 2])
    hidden = hide(place, 4, np.ones(5), np.random.default_rng(0))
    assert hidden.tolist() == [True, False, False, True, False]


def test_rows_since_an_instant_are_the_targets_of_an_incremental_pass() -> None:
    since = 50 * DAY
    blocks = list(Blocks(PAIRS, CONFIG, since).epoch(np.random.default_rng(0)))
    new = PAIRS.since(since)
    assert sum(block.size for block in blocks) == len(np.unique(new.user_idx))
    targets = np.concatenate([block.target_item_idx for block in blocks])
    assert sorted(targets) == sorted(new.item_idx)


def test_rows_that_arrive_late_are_among_the_targets() -> None:
    since, late = 50 * DAY, np.array([3, 100])
    arrived = PAIRS.occurred_at.copy()
    arrived[late] = 51 * DAY
    pairs = replace(PAIRS, arrived_at=arrived)
    for epoch in (Blocks(pairs, CONFIG, since), Blocks(pairs, replace(CONFIG, max_candidates=20), since)):
        blocks = list(epoch.epoch(np.random.default_rng(0)))
        targets = np.concatenate([block.target_item_idx for block in blocks])
        assert sorted(targets) == sorted([*PAIRS.since(since).item_idx, *PAIRS.item_idx[late]])


def test_target_weights_halve_with_age() -> None:
    weights = target_weights(PAIRS.occurred_at, PAIRS, 0.3)
    newest = PAIRS.occurred_at[-1]
    half_life = newest - PAIRS.instant_at(0.7)
    assert weights[-1] == pytest.approx(1.0)
    np.testing.assert_allclose(weights, 0.5 ** ((newest - PAIRS.occurred_at) / half_life), rtol=1e-5)
