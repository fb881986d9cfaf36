from __future__ import annotations

import numpy as np
import torch

from training.data.pair_log import PairLog
from training.engine.matching import MatchingTrainingConfig, fit
from training.engine.matching_next import NextItemBatches, next_item_loss
from training.engine.matching_start import ItemStart
from training.models.history_encoders import HistoryConfig
from training.models.history_rows import encode_rows
from training.models.two_tower import TwoTower, TwoTowerConfig

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
    assert _samples(NextItemBatches(THREE, 2, 10, 10)) == expected
    assert _samples(NextItemBatches(THREE, 1, 10, 10)) == expected


def test_a_long_history_is_read_through_windows_that_reach_every_event() -> None:
    batches = NextItemBatches(THREE, 2, 2, 10)
    drawn = [_samples(batches, seed) for seed in range(8)]
    assert {((3,), 1), ((3, 1), 4), ((7,), 8)} in drawn
    assert {((1,), 4), ((1, 4), 5), ((7,), 8)} in drawn
    assert all(len(read) <= 2 for samples in drawn for read, _ in samples)


def test_targets_are_thinned_to_the_most_allowed_per_user() -> None:
    seen = set()
    for seed in range(8):
        samples = _samples(NextItemBatches(THREE, 2, 10, 1), seed)
        assert len(samples) == 2
        seen |= samples
    assert len(seen) == 4


def test_since_predicts_new_rows_alone_from_the_newest_window() -> None:
    assert _samples(NextItemBatches(THREE, 2, 2, 10, since=2)) == {((1,), 4), ((1, 4), 5)}
    assert not _samples(NextItemBatches(THREE, 2, 2, 10, since=50))


def test_the_loss_is_the_mean_over_prefixes_of_the_full_softmax() -> None:
    torch.manual_seed(3)
    tower = TwoTower(CONFIG.tower, NUM_ITEMS).eval()
    torch.nn.init.normal_(tower.item_bias)
    torch.nn.init.normal_(tower.history.sequence.change.weight)
    (batch,) = NextItemBatches(THREE, 8, 6, 10).epoch(np.random.default_rng(0))
    losses = []
    for read, target in _samples(NextItemBatches(THREE, 8, 6, 10)):
        user = encode_rows(tower, np.array(read), np.zeros(len(read), np.int64), 1)
        scores = tower.scale * user @ tower.items().T + tower.item_bias
        losses.append(float(torch.nn.functional.cross_entropy(scores, torch.tensor([target])).detach()))
    assert np.isclose(float(next_item_loss(tower, batch).detach()), np.mean(losses), atol=1e-5)


def test_training_learns_an_order_that_counts_alone_cannot_tell() -> None:
    cycles = _log([[(start + step) % NUM_ITEMS for step in range(8)] for start in range(NUM_ITEMS)])
    tower = ItemStart.of(cycles, 8, 0, ordered=True).tower(CONFIG.tower, cycles)
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
        tower = ItemStart.of(THREE, 8, 0, ordered=True).tower(CONFIG.tower, THREE)
        fit(tower, THREE, CONFIG, 2, 5, lambda epoch, model: True)
        return tower.scored_items.weight.detach()

    assert torch.equal(weights(), weights())
