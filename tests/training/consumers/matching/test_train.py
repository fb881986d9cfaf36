from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.ranking.world import DAY, two_tastes
from training.consumers.matching.initialisation import ItemStart
from training.consumers.matching.train import MatchingTrainingConfig, block_loss, fit
from training.ranking.blocks import Blocks, hide, target_weights
from training.ranking.history_encoders import ENCODERS, HistoryConfig
from training.ranking.two_tower import TwoTower, TwoTowerConfig

PAIRS = two_tastes().pairs()
CONFIG = MatchingTrainingConfig(tower=TwoTowerConfig(width=8), block_users=16)


def _always(epoch: int, model: TwoTower) -> bool:
    return True


def _fitted(config: MatchingTrainingConfig, epochs: int = 2) -> TwoTower:
    tower = ItemStart(PAIRS, 8, 0, ordered=False).tower(config.tower)
    fit(tower, PAIRS, config, epochs, 3, _always)
    return tower


def _mean_loss(tower: TwoTower, config: MatchingTrainingConfig) -> float:
    blocks = Blocks(PAIRS, config).epoch(np.random.default_rng(9))
    with torch.no_grad():
        return float(np.mean([float(block_loss(tower, block, config)) for block in blocks]))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_training_lowers_the_loss_with_every_encoder(encoder: str) -> None:
    history = HistoryConfig(encoder=encoder, dropout=0.0, max_length=20)  # type: ignore[arg-type]
    config = replace(CONFIG, tower=replace(CONFIG.tower, history=history), learning_rate=1e-2)
    before = ItemStart(PAIRS, 8, 0, ordered=False).tower(config.tower)
    assert _mean_loss(_fitted(config, 5), config) < _mean_loss(before, config)


def test_equal_seed_gives_equal_weights() -> None:
    first, again = _fitted(CONFIG).state_dict(), _fitted(CONFIG).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_the_hook_stops_the_training() -> None:
    seen: list[int] = []

    def stop(epoch: int, model: TwoTower) -> bool:
        seen.append(epoch)
        return epoch < 2

    fit(ItemStart(PAIRS, 8, 0, ordered=False).tower(CONFIG.tower), PAIRS, CONFIG, 5, 0, stop)
    assert seen == [1, 2]


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


def test_drawn_candidates_hold_the_targets_and_estimate_the_whole_catalogue() -> None:
    config = replace(CONFIG, max_candidates=20)
    tower = ItemStart(PAIRS, 8, 0, ordered=False).tower(config.tower)
    block = next(Blocks(PAIRS, config).epoch(np.random.default_rng(0)))
    assert block.candidates is not None
    assert set(block.target_item_idx) <= set(block.candidates)
    assert len(block.candidates) < PAIRS.num_items
    assert (block.log_inclusion <= 0).all()  # type: ignore[operator]
    drawn, whole = _mean_loss(tower, config), _mean_loss(tower, CONFIG)
    assert drawn == pytest.approx(whole, rel=0.15)


def test_a_log_of_single_rows_trains_nothing() -> None:
    first_rows = np.unique(PAIRS.user_idx, return_index=True)[1]
    lonely = PAIRS.where(np.isin(np.arange(len(PAIRS)), first_rows))
    tower = ItemStart(lonely, 8, 0, ordered=False).tower(CONFIG.tower)
    before = tower.scored_items.weight.detach().clone()
    fit(tower, lonely, CONFIG, 2, 0, _always)
    torch.testing.assert_close(tower.scored_items.weight.detach(), before)
