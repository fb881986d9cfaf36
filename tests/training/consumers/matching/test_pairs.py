from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.ranking.world import DAY, same_group, two_tastes
from training.consumers.matching.model import MatchingModel, user_directions
from training.consumers.matching.pairs import PairBatch, PairBatches, pair_loss, pair_scores
from training.consumers.matching.search import MatchingConfig, train_matching
from training.consumers.matching.train import MatchingTrainingConfig, fit
from training.contracts.errors import AttuneError
from training.data.pair_log import PairLog
from training.losses.family import PAIR_LOSSES
from training.ranking.history_encoders import ENCODERS, HistoryConfig
from training.ranking.two_tower import TwoTower, TwoTowerConfig

PAIRS = two_tastes().pairs()
HELD_OUT = np.random.default_rng(5).random(len(PAIRS)) < 0.2
KNOWN, LATER = PAIRS.where(~HELD_OUT), PAIRS.where(HELD_OUT)
CONFIG = MatchingTrainingConfig(tower=TwoTowerConfig(width=8), learning_rate=2e-2, objective="pairs", batch_pairs=128)


def _random_tower(config: MatchingTrainingConfig = CONFIG, num_items: int = PAIRS.num_items) -> TwoTower:
    torch.manual_seed(4)
    return TwoTower(config.tower, num_items).eval()


def _fitted(
    config: MatchingTrainingConfig, pairs: PairLog = KNOWN, epochs: int = 12, seed: int = 3, since: int | None = None
) -> TwoTower:
    tower = _random_tower(config, pairs.num_items)
    fit(tower, pairs, config, epochs, seed, lambda epoch, model: True, since)
    return tower


def _mean_loss(tower: TwoTower, config: MatchingTrainingConfig) -> float:
    loss = PAIR_LOSSES[config.pairs_loss]
    batches = PairBatches(KNOWN, config.batch_pairs, loss=loss).epoch(np.random.default_rng(9))
    with torch.no_grad():
        return float(np.mean([float(pair_loss(tower, batch, loss)) for batch in batches]))


def _mean_rank(scores_UI: np.ndarray) -> float:
    """Return the mean rank of held-out items among those new to their user, 0 the best and 1 the worst."""
    unseen = KNOWN.matrix().toarray()[LATER.user_idx] == 0
    scores = scores_UI[LATER.user_idx]
    own = scores[np.arange(len(LATER)), LATER.item_idx][:, None]
    ahead = (unseen & (scores > own)).sum(1) + 0.5 * ((unseen & (scores == own)).sum(1) - 1)
    return float(np.mean(ahead / (unseen.sum(1) - 1)))


@pytest.mark.parametrize("name", sorted(PAIR_LOSSES))
def test_training_lowers_every_loss_and_finds_held_out_pairs_better_than_popularity(name: str) -> None:
    config = replace(CONFIG, pairs_loss=name)
    tower = _fitted(config)
    assert _mean_loss(tower, config) < _mean_loss(_random_tower(), config) - 0.1
    phi = (tower.scale * torch.from_numpy(user_directions(tower, KNOWN)) @ tower.items().T + tower.item_bias).detach()
    popularity = np.broadcast_to(KNOWN.item_counts(), phi.shape)
    assert _mean_rank(phi.numpy()) < 0.7 * _mean_rank(popularity)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_history_encoder_learns_from_pairs(encoder: str) -> None:
    history = HistoryConfig(encoder=encoder, dropout=0.0, max_length=20)
    config = replace(CONFIG, tower=replace(CONFIG.tower, history=history))
    assert _mean_loss(_fitted(config, epochs=4), config) < _mean_loss(_random_tower(config), config)


def test_equal_seed_gives_equal_weights_and_another_seed_others() -> None:
    first, again, other = (_fitted(CONFIG, epochs=2, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["item_bias"], other["item_bias"])


def test_marginals_sum_to_one_and_are_the_frequencies_of_the_sampled_pairs() -> None:
    marginals = PairBatches(PAIRS, 128).marginals
    p_items, p_users = np.exp(marginals.log_p_items_I), np.exp(marginals.log_p_users_U)
    assert p_items.sum() == pytest.approx(1.0, abs=1e-5)
    assert p_users.sum() == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(p_items, PAIRS.item_counts() / len(PAIRS), rtol=1e-3)
    np.testing.assert_allclose(p_users, PAIRS.user_counts() / len(PAIRS), rtol=1e-3)


def test_an_epoch_samples_every_pair_once_and_shows_its_user_the_rest() -> None:
    log = _log([0, 0, 1, 0, 2, 2], [4, 1, 1, 2, 0, 3])
    batches = list(PairBatches(log, 3).epoch(np.random.default_rng(0)))
    seen = sorted(pair for batch in batches for pair in _described(batch))
    # user 1 has interacted with one item alone: nothing would be left to read
    assert seen == [(0, (3,)), (1, (4, 2)), (2, (4, 1)), (3, (0,)), (4, (1, 2))]
    assert [len(batch.item_idx) for batch in batches] == [3, 2]
    met = {
        int(item): int(num) for batch in batches for item, num in zip(batch.item_idx, batch.num_interacted, strict=True)
    }
    assert met == {0: 2, 1: 3, 2: 3, 3: 2, 4: 3}


def test_rows_since_an_instant_are_the_sample_of_an_incremental_pass() -> None:
    batches = PairBatches(PAIRS, 64, since=50 * DAY)
    new = PAIRS.since(50 * DAY)
    sampled = [batch.item_idx for batch in batches.epoch(np.random.default_rng(0))]
    assert sorted(np.concatenate(sampled)) == sorted(new.item_idx)
    np.testing.assert_allclose(np.exp(batches.marginals.log_p_items_I), new.item_counts() / len(new), atol=1e-3)
    before, after = _random_tower().state_dict(), _fitted(CONFIG, PAIRS, 1, since=50 * DAY).state_dict()
    assert not torch.equal(before["item_bias"], after["item_bias"])


def test_scores_are_phi_with_scale_and_both_biases() -> None:
    plain_mean = replace(CONFIG.tower, history=HistoryConfig(encoder="mean"))
    tower = _random_tower(replace(CONFIG, tower=plain_mean))
    with torch.no_grad():
        tower.item_bias.copy_(torch.arange(PAIRS.num_items) / 10)
    batch = PairBatch(
        shown_item_idx=np.array([5, 6, 7]),
        shown_place=np.array([0, 0, 1]),
        item_idx=np.array([8, 9]),
        num_interacted=np.array([3, 2]),
        log_p_items=np.zeros(2, np.float32),
        log_p_users=np.zeros(2, np.float32),
    )
    users = torch.stack([tower.history_items.weight[[5, 6]].mean(0), tower.history_items.weight[7]])
    users = users / users.norm(dim=1, keepdim=True)
    items = tower.scored_items.weight[[8, 9]]
    items = items / items.norm(dim=1, keepdim=True)
    expected = 10 * users @ items.T + torch.log(torch.tensor([3.0, 2.0]))[:, None] + torch.tensor([0.8, 0.9])
    torch.testing.assert_close(pair_scores(tower, batch), expected)


def test_accidental_hits_stay_in_the_denominator() -> None:
    log = _log([0, 0], [0, 1])
    tower = _random_tower(num_items=2)
    batch = next(PairBatches(log, 2).epoch(np.random.default_rng(0)))
    scores = pair_scores(tower, batch)
    # one user, twice: each pair's other column is a positive of his, and masking it would make the loss zero
    row, column = (-torch.log_softmax(scores, dim).diagonal().mean() for dim in (1, 0))
    torch.testing.assert_close(pair_loss(tower, batch, PAIR_LOSSES["bbcnce"]), row + column)
    assert float(row.detach()) > 0


def test_only_the_corrected_loss_keeps_popularity_and_activity_in_phi() -> None:
    log = _independent_log()
    popularity = np.log(log.item_counts())
    slopes = {}
    for name in ("bbcnce", "info_nce", "sim_clr"):
        tower = _fitted(replace(CONFIG, pairs_loss=name, learning_rate=5e-2), log, epochs=30)
        slopes[name] = np.polyfit(popularity, tower.item_bias.detach().numpy(), 1)[0], float(tower.activity.detach())
    assert slopes["bbcnce"] == (pytest.approx(1.0, abs=0.35), pytest.approx(1.0, abs=0.35))
    assert slopes["info_nce"][0] < 0.3
    assert slopes["sim_clr"] == (pytest.approx(0.0, abs=0.35), pytest.approx(0.0, abs=0.35))


def test_drawn_negatives_are_as_each_loss_says() -> None:
    log = _log([0, 0, 1, 1, 2, 2], [4, 1, 1, 2, 0, 3])

    def drawn(name: str) -> tuple[PairBatch, object]:
        batch = next(PairBatches(log, 6, loss=PAIR_LOSSES[name]).epoch(np.random.default_rng(0)))
        return batch, batch.negatives

    assert drawn("bbcnce")[1] is None
    batch, keep_user = drawn("bce_keep_user")
    assert keep_user.are_own_users
    assert len(keep_user.item_idx) == 6
    batch, shuffled = drawn("bce_shuffled")
    assert sorted(shuffled.item_idx) == sorted(batch.item_idx)
    batch, keep_item = drawn("bce_keep_item")
    np.testing.assert_array_equal(keep_item.item_idx, batch.item_idx)
    assert not keep_item.are_own_users
    assert keep_item.num_interacted.tolist() == [2] * 6


def test_items_past_the_encoder_s_reach_are_not_handed_over() -> None:
    history = HistoryConfig(encoder="recency_mean", max_length=3)
    tower = _random_tower(replace(CONFIG, tower=replace(CONFIG.tower, history=history)))
    whole, short = (
        next(PairBatches(PAIRS, 64, max_length=length).epoch(np.random.default_rng(1))) for length in (None, 3)
    )
    assert len(short.shown_item_idx) < len(whole.shown_item_idx)
    np.testing.assert_array_equal(short.item_idx, whole.item_idx)
    torch.testing.assert_close(pair_scores(tower, short), pair_scores(tower, whole))


def test_a_log_of_single_rows_trains_nothing() -> None:
    lonely = _log([0, 1, 2], [0, 1, 1])
    before = _random_tower(num_items=lonely.num_items).state_dict()
    after = _fitted(CONFIG, lonely, epochs=2).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("unusable", [{"objective": "triples"}, {"pairs_loss": "bpr"}, {"batch_pairs": 1}])
def test_an_unusable_setting_is_refused_with_what_was_found(unusable: dict[str, object]) -> None:
    with pytest.raises(AttuneError, match=f"found {next(iter(unusable.values()))!r}"):
        MatchingTrainingConfig(**unusable)


def test_a_model_of_pairs_serves_as_any_other_and_names_its_objective(tmp_path: Path) -> None:
    data = two_tastes()
    model = train_matching(data, MatchingConfig(training=CONFIG, widths=(8,), max_epochs=2))
    model.save(tmp_path)
    loaded = MatchingModel.load(tmp_path)
    np.testing.assert_array_equal(loaded.user_vectors(data), model.user_vectors(data))
    scores, same = loaded.user_vectors(data) @ loaded.item_vectors(data).T, same_group(data)
    assert scores[same].mean() > scores[~same].mean()
    described = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))["facts"]["config"]["training"]
    assert (described["objective"], described["pairs_loss"], described["batch_pairs"]) == ("pairs", "bbcnce", 128)


def _log(users: list[int], items: list[int]) -> PairLog:
    return PairLog(
        user_idx=np.array(users),
        item_idx=np.array(items),
        occurred_at=np.arange(len(users)),
        num_users=max(users) + 1,
        num_items=max(items) + 1,
        as_of=len(users),
    )


def _independent_log() -> PairLog:
    """Return 80 users from idle to busy and 40 items from rare to popular, without any taste."""
    rng = np.random.default_rng(1)
    popularity = np.geomspace(1, 12, 40)
    busy = np.repeat([2, 4, 8, 16], 20)
    items = [rng.choice(40, num, replace=False, p=popularity / popularity.sum()) for num in busy]
    log = _log(list(np.repeat(np.arange(80), busy)), list(np.concatenate(items)))
    assert log.item_counts().min() > 0
    return log


def _described(batch: PairBatch) -> list[tuple[int, tuple[int, ...]]]:
    shown = [tuple(batch.shown_item_idx[batch.shown_place == place].tolist()) for place in range(len(batch.item_idx))]
    return list(zip(batch.item_idx.tolist(), shown, strict=True))


def test_a_pair_that_arrives_late_is_sampled_in_a_continued_pass() -> None:
    arrived = PAIRS.occurred_at.copy()
    arrived[5] = 60 * DAY
    batches = PairBatches(replace(PAIRS, arrived_at=arrived), 128, since=60 * DAY)
    (batch,) = batches.epoch(np.random.default_rng(0))
    assert batch.item_idx.tolist() == [PAIRS.item_idx[5]]
