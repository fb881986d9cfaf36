from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.consumers.cold_start.world import NUM_ITEMS, NUM_USERS, PER_USER, TINY, two_groups
from training.consumers.cold_start.network import ColdStartNetwork
from training.consumers.cold_start.rows import all_tokens
from training.consumers.cold_start.search import Mode, for_mode, started_network
from training.consumers.cold_start.train import ColdStartTrainingConfig, _Trainer, fit

TRAINING = TINY.training
BCE = replace(TRAINING, loss="bce", num_targets=4)
BERNOULLI = replace(TRAINING, loss="bernoulli")


def _network(mode: Mode = "full", ranker: str = "inner_product") -> ColdStartNetwork:
    return started_network(two_groups(), for_mode(replace(TINY.model, ranker=ranker), mode), 1)


def _moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def _state(network: ColdStartNetwork) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("config", [TRAINING, BCE, BERNOULLI])
def test_losses_fall_and_stay_finite(config: ColdStartTrainingConfig) -> None:
    curves = fit(_network(), two_groups(), config, 6, seed=1)
    assert set(curves) == {"zero_shot", "ranking"}
    assert all(np.isfinite(values).all() and values[-1] < values[0] for values in curves.values())


def test_a_moves_the_tower_alone_and_b_the_rest() -> None:
    network = _network()
    before = _state(network)
    fit(network, two_groups(), replace(TRAINING, learning_rate=0.0), 1, seed=1)
    assert _moved(before, _state(network)) == {"zero_shot"}
    other = _network()
    fit(other, two_groups(), replace(TRAINING, zero_shot_learning_rate=0.0), 1, seed=1)
    moved = _moved(before, _state(other))
    assert "zero_shot" not in moved
    assert {"values", "items", "targets", "item_bias", "ranker"} <= moved


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second, other = _network(), _network(), _network()
    for network, seed in ((first, 3), (second, 3), (other, 4)):
        fit(network, two_groups(), TRAINING, 1, seed=seed)
    assert not _moved(_state(first), _state(second))
    assert _moved(_state(first), _state(other))


def test_it_stops_when_told() -> None:
    epochs: list[int] = []

    def after(epoch: int, network: ColdStartNetwork) -> bool:
        assert not network.training
        epochs.append(epoch)
        return epoch < 1

    assert len(fit(_network(), two_groups(), TRAINING, 9, seed=1, after_epoch=after)["ranking"]) == 2
    assert epochs == [0, 1]


def test_users_made_new_teach_the_tower_nothing() -> None:
    everyone = np.ones(NUM_USERS, bool)
    network = _network()
    before = _state(network)
    curves = fit(network, two_groups(), TRAINING, 1, seed=1, new_U=everyone)
    assert curves["zero_shot"] == [0.0]
    assert "zero_shot" not in _moved(before, _state(network))


def test_filling_in_training_is_a_switch() -> None:
    filled, empty = _network(), _network()
    fit(filled, two_groups(), TRAINING, 1, seed=1)
    fit(empty, two_groups(), replace(TRAINING, fill_in_training=False), 1, seed=1)
    assert "ranker" in _moved(_state(filled), _state(empty))
    assert not empty.virtual_mark.any()
    assert filled.virtual_mark.any()


def test_the_bernoulli_loss_is_that_of_every_item_that_is_not_shown() -> None:
    network, data = _network("base"), two_groups()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    everyone_new = replace(BERNOULLI, pretend_new=1.0, learning_rate=0.0, batch_size=NUM_USERS)
    [loss] = fit(network, data, everyone_new, 1, seed=1)["ranking"]
    assert loss == pytest.approx(np.log(2) * NUM_ITEMS / PER_USER, rel=1e-4)
    half_shown = replace(everyone_new, pretend_new=0.0)
    [masked] = fit(network, data, half_shown, 1, seed=1)["ranking"]
    hidden = np.log(2) * (NUM_ITEMS - PER_USER / 2) / (PER_USER / 2)
    assert masked == pytest.approx(hidden, rel=0.15)


def test_nobody_with_pairs_trains_nothing() -> None:
    data = two_groups()
    alone = data.without_users(np.ones(NUM_USERS, bool))
    assert fit(_network(), alone, TRAINING, 1, seed=1) == {"zero_shot": [0.0], "ranking": [0.0]}


@pytest.mark.parametrize("mode", ["none", "single", "base", "full"])
def test_a_new_user_is_ranked_by_the_group_that_an_attribute_names(mode: Mode) -> None:
    network, data = _network(mode), two_groups()
    fit(network, data, TRAINING, 12, seed=1)
    with torch.no_grad():
        scores = network.all_logits(all_tokens(data, np.array([NUM_USERS - 2, NUM_USERS - 1]), 10), fill=True).numpy()
    half = scores.shape[1] // 2
    assert scores[0, :half].mean() > scores[0, half:].mean()
    assert scores[1, :half].mean() < scores[1, half:].mean()


def test_an_epoch_takes_some_users_of_many_and_others_the_next_time() -> None:
    data = two_groups()
    trainer = _Trainer(_network(), data, replace(TRAINING, epoch_users=10), np.random.default_rng(0), None)
    epochs = [np.concatenate(trainer.batches()) for _ in range(2)]
    assert [len(set(users.tolist())) for users in epochs] == [10, 10]
    assert set(epochs[0].tolist()) != set(epochs[1].tolist())
