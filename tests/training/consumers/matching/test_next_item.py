from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from training.consumers.matching.initialisation import ItemStart
from training.consumers.matching.next_item import (
    NEVER,
    NextItemBatches,
    inclusion_chances,
    met_positions,
    next_item_loss,
)
from training.consumers.matching.train import MatchingTrainingConfig, fit
from training.data.pair_log import PairLog
from training.ranking.history_encoders import HistoryConfig
from training.ranking.history_rows import encode_rows
from training.ranking.two_tower import TwoTower, TwoTowerConfig

NUM_ITEMS = 12


def _log(histories: list[list[int]]) -> PairLog:
    """Return one event a second, users in turn; item ids as given."""
    users = np.repeat(np.arange(len(histories)), [len(one) for one in histories])
    items = np.concatenate([np.array(one, np.int64) for one in histories])
    times = np.concatenate([np.arange(len(one)) for one in histories])
    order = np.argsort(times, kind="stable")
    return PairLog(
        user_idx=users[order].astype(np.int64),
        item_idx=items[order],
        occurred_at=times[order].astype(np.int64),
        num_users=len(histories),
        num_items=NUM_ITEMS,
        as_of=100,
    )


THREE = _log([[3, 1, 4, 5], [2], [7, 8]])
CONFIG = MatchingTrainingConfig(
    tower=TwoTowerConfig(width=8, history=HistoryConfig(encoder="self_attention", num_layers=1, max_length=6)),
    objective="next_item",
    learning_rate=1e-2,
    batch_users=8,
)


def _samples(batches: NextItemBatches, seed: int = 0) -> set[tuple[tuple[int, ...], int]]:
    """Return every (items read, item predicted) of an epoch."""
    found = set()
    for batch in batches.epoch(np.random.default_rng(seed)):
        for user, position, target in zip(batch.user_P, batch.position_P, batch.target_P, strict=True):
            assert batch.mask_BL[user, position]
            found.add((tuple(batch.item_idx_BL[user, : position + 1].tolist()), int(target)))
    return found


def test_every_prefix_predicts_what_came_next_and_a_single_item_nothing() -> None:
    expected = {((3,), 1), ((3, 1), 4), ((3, 1, 4), 5), ((7,), 8)}
    assert _samples(NextItemBatches(THREE, 2, 10, NUM_ITEMS)) == expected
    assert _samples(NextItemBatches(THREE, 1, 10, NUM_ITEMS)) == expected


def test_a_long_history_is_read_through_windows_that_reach_every_event() -> None:
    batches = NextItemBatches(THREE, 2, 2, NUM_ITEMS)
    drawn = [_samples(batches, seed) for seed in range(8)]
    assert {((3,), 1), ((3, 1), 4), ((7,), 8)} in drawn
    assert {((1,), 4), ((1, 4), 5), ((7,), 8)} in drawn
    assert all(len(read) <= 2 for samples in drawn for read, _ in samples)


def test_since_predicts_new_rows_alone_from_the_newest_window() -> None:
    assert _samples(NextItemBatches(THREE, 2, 2, NUM_ITEMS, since=2)) == {((1,), 4), ((1, 4), 5)}
    assert not _samples(NextItemBatches(THREE, 2, 2, NUM_ITEMS, since=50))


def test_met_positions_by_hand() -> None:
    item_idx, position, place = np.array([3, 1, 9, 2]), np.array([-1, 0, 1, 0]), np.array([0, 0, 0, 1])
    found = met_positions(np.array([1, 2, 3]), item_idx, position, place, 3)
    assert found.tolist() == [[0, NEVER, -1], [NEVER, 0, NEVER], [NEVER] * 3]


def test_candidates_carry_where_in_the_window_they_were_met() -> None:
    (batch,) = NextItemBatches(_log([[3, 1, 4, 5], [7, 8]]), 8, 2, NUM_ITEMS, since=0).epoch(np.random.default_rng(0))
    met = [{int(item): int(row[item]) for item in np.flatnonzero(row != NEVER)} for row in batch.interacted_at_BC]
    assert {3: -1, 1: 0, 4: 1, 5: 2} in met
    assert {7: 0, 8: 1} in met


def test_the_loss_is_the_mean_over_prefixes_of_the_softmax_over_what_is_not_yet_met() -> None:
    torch.manual_seed(3)
    tower = TwoTower(CONFIG.tower, NUM_ITEMS).eval()
    torch.nn.init.normal_(tower.item_bias)
    torch.nn.init.normal_(tower.history.sequence.change.weight)
    (batch,) = NextItemBatches(THREE, 8, 6, NUM_ITEMS).epoch(np.random.default_rng(0))
    losses = []
    for read, target in _samples(NextItemBatches(THREE, 8, 6, NUM_ITEMS)):
        user = encode_rows(tower, np.array(read), np.zeros(len(read), np.int64), 1)
        scores = tower.scale * user @ tower.items().T + tower.item_bias
        scores[:, list(read)] = -torch.inf
        losses.append(float(torch.nn.functional.cross_entropy(scores, torch.tensor([target])).detach()))
    assert np.isclose(float(next_item_loss(tower, batch).detach()), np.mean(losses), atol=1e-5)


def test_chances_go_by_the_root_of_the_count_and_sum_to_the_number_wanted() -> None:
    np.testing.assert_allclose(inclusion_chances(np.array([3.0, 0.0, 0.0]), 2), [1.0, 0.5, 0.5])
    np.testing.assert_allclose(inclusion_chances(np.array([8.0, 3.0, 0.0]), 1), [3 / 6, 2 / 6, 1 / 6])
    np.testing.assert_allclose(inclusion_chances(np.array([1000.0, 90.0, 1.0, 1.0]), 3), [1.0, 1.0, 0.5, 0.5])
    assert (inclusion_chances(np.arange(4.0), 4) == 1).all()


def test_drawn_candidates_estimate_the_whole_catalogue_without_bias() -> None:
    """Over many draws the sum over candidates, each by one over its chance, is the sum over the catalogue."""
    batches = NextItemBatches(_log([[3, 1, 4, 5] * 9, [2, 4], [7, 8]]), 8, 6, 5)
    drawn = [batch for seed in range(1500) for batch in batches.epoch(np.random.default_rng(seed))]
    sums = np.zeros(NUM_ITEMS)
    for batch in drawn:
        sums[batch.candidates_C] += np.exp(-batch.log_chance_C)
    np.testing.assert_allclose(sums / len(drawn), np.ones(NUM_ITEMS), atol=0.15)
    assert np.isclose(np.mean([len(batch.candidates_C) for batch in drawn]), 5, atol=0.15)


def test_a_drawn_target_counts_once() -> None:
    """With every item but one out of reach, the loss is that of two items, whether the target is drawn or not."""
    tower = TwoTower(CONFIG.tower, NUM_ITEMS).eval()
    (batch,) = NextItemBatches(_log([[3, 1]]), 8, 6, NUM_ITEMS).epoch(np.random.default_rng(0))
    without, beside = (
        replace(
            batch,
            candidates_C=np.array(items),
            log_chance_C=np.zeros(len(items), np.float32),
            interacted_at_BC=batch.interacted_at_BC[:, items],
        )
        for items in ([2], [1, 2])
    )
    assert float(next_item_loss(tower, without).detach()) == float(next_item_loss(tower, beside).detach())


def test_nothing_pushes_away_what_was_met_before_the_window() -> None:
    tower = TwoTower(CONFIG.tower, NUM_ITEMS).eval()
    (batch,) = NextItemBatches(_log([[3, 1, 4, 5]]), 8, 2, NUM_ITEMS, since=0).epoch(np.random.default_rng(0))
    next_item_loss(tower, batch).backward()
    assert tower.item_bias.grad is not None
    pushed = tower.item_bias.grad.numpy() > 0
    assert pushed.tolist() == [item not in (3, 1, 4, 5) for item in range(NUM_ITEMS)]


def test_training_learns_an_order_that_counts_alone_cannot_tell() -> None:
    cycles = _log([[(start + step) % NUM_ITEMS for step in range(8)] for start in range(NUM_ITEMS)])
    tower = ItemStart(cycles, 8, 0, ordered=True).tower(CONFIG.tower)
    fit(tower, cycles, CONFIG, 40, 0, lambda epoch, model: True)
    hits = 0
    for start in range(NUM_ITEMS):
        read = np.array([(start + step) % NUM_ITEMS for step in range(3)])
        scores = (
            (tower.scale * encode_rows(tower, read, np.zeros(3, np.int64), 1) @ tower.items().T).detach().numpy()[0]
        )
        scores[read] = -np.inf
        hits += int((scores + tower.item_bias.detach().numpy()).argmax() == (start + 3) % NUM_ITEMS)
    assert hits == NUM_ITEMS


def test_equal_seeds_give_equal_weights() -> None:
    def weights() -> torch.Tensor:
        tower = ItemStart(THREE, 8, 0, ordered=True).tower(CONFIG.tower)
        fit(tower, THREE, CONFIG, 2, 5, lambda epoch, model: True)
        return tower.scored_items.weight.detach()

    assert torch.equal(weights(), weights())


def test_a_row_that_arrives_late_is_predicted_from_what_came_before_it() -> None:
    arrived = THREE.occurred_at.copy()
    arrived[(THREE.user_idx == 0) & (THREE.item_idx == 4)] = 50
    batches = NextItemBatches(replace(THREE, arrived_at=arrived), 2, 6, NUM_ITEMS, since=50)
    assert _samples(batches) == {((3, 1), 4)}
