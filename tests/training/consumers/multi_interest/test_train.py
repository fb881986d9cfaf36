from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.ranking.world import two_tastes
from training.consumers.multi_interest.initialisation import started_model
from training.consumers.multi_interest.network import MultiInterest, MultiInterestConfig, shown_items
from training.consumers.multi_interest.train import (
    EpochFigures,
    MultiInterestTrainingConfig,
    block_scores,
    fit,
    num_blocks,
)
from training.contracts.errors import AttuneError
from training.ranking.blocks import Blocks
from training.ranking.initialisation import svd_items

PAIRS = two_tastes().pairs()
NOISE = np.random.default_rng(0).normal(size=(PAIRS.num_items, 8)).astype(np.float32)
"""A start that knows nothing, so that there is something to learn."""
FEATURES = np.zeros((PAIRS.num_items, 2), np.float32)
CONFIG = MultiInterestTrainingConfig(
    towers=MultiInterestConfig(num_interests=2, width=8, hidden=8), block_users=16, learning_rate=1e-2
)


def _fitted(config: MultiInterestTrainingConfig, epochs: int) -> tuple[MultiInterest, list[dict[str, float]]]:
    curves: list[dict[str, float]] = []
    model = started_model(config.towers, PAIRS, NOISE, FEATURES, seed=0)

    def after_epoch(epoch: int, _: MultiInterest, figures: dict[str, float]) -> bool:
        curves.append(figures)
        return True

    fit(model, PAIRS, config, epochs, 3, after_epoch)
    return model, curves


VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "read-out of the positive": {"read_out": "positive"},
    "hinge": {"loss": "hinge", "num_negatives": 16},
    "hinge, read-out of the positive": {"loss": "hinge", "read_out": "positive", "num_negatives": 16},
    "gaussian repulsion": {"repel_form": "gaussian"},
    "drawn candidates": {"max_candidates": 20, "num_drawn": 20},
    "shared trunk": {"towers": replace(CONFIG.towers, shared_trunk=True)},
    "one interest": {"towers": replace(CONFIG.towers, num_interests=1)},
    "recommendation alone": {"user_side": 0.0},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_training_lowers_the_loss_of_every_variant(name: str) -> None:
    config = replace(CONFIG, softness=0.0, repel_weight=0.05, **{k: v for k, v in VARIANTS[name].items()})
    _, curves = _fitted(config, 6)
    assert curves[-1]["loss"] < curves[0]["loss"]
    assert all(np.isfinite(value) for epoch in curves for value in epoch.values())


def test_every_epoch_tells_shares_of_wins_and_cosines() -> None:
    _, curves = _fitted(CONFIG, 2)
    assert set(curves[0]) == {"loss", "mean_pairwise_cosine", "win_share_0", "win_share_1"}
    assert curves[1]["win_share_0"] + curves[1]["win_share_1"] == pytest.approx(1.0)
    assert -1 <= curves[1]["mean_pairwise_cosine"] <= 1


def test_the_repulsion_keeps_a_users_vectors_apart() -> None:
    ends = {weight: _fitted(replace(CONFIG, repel_weight=weight, repel_delta=0.0), 5)[1][-1] for weight in (0.0, 5.0)}
    assert ends[5.0]["mean_pairwise_cosine"] < ends[0.0]["mean_pairwise_cosine"] - 0.05


def test_equal_seed_gives_equal_weights() -> None:
    config = replace(CONFIG, loss="hinge", num_negatives=8)
    first, again = _fitted(config, 2)[0].state_dict(), _fitted(config, 2)[0].state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_the_hook_stops_the_training() -> None:
    seen: list[int] = []

    def stop(epoch: int, model: MultiInterest, figures: dict[str, float]) -> bool:
        seen.append(epoch)
        return epoch < 2

    fit(started_model(CONFIG.towers, PAIRS, svd_items(PAIRS, 8, 0), FEATURES, 0), PAIRS, CONFIG, 5, 0, stop)
    assert seen == [1, 2]


def test_an_epoch_goes_on_where_the_one_before_stopped() -> None:
    """Two epochs over half of the users are one over all: the same blocks in the same order."""
    num_users = int((PAIRS.user_counts() >= 2).sum())
    half = replace(CONFIG, epoch_users=num_users // 2, block_users=num_users // 2, softness=0.0)
    assert num_blocks(num_users, half) == 1
    whole = replace(half, epoch_users=num_users)
    halves, once = _fitted(half, 2)[0].state_dict(), _fitted(whole, 1)[0].state_dict()
    assert all(torch.equal(halves[name], once[name]) for name in once)


def test_the_last_block_of_an_epoch_may_be_smaller() -> None:
    config = replace(CONFIG, block_users=16, epoch_users=100)
    assert [num_blocks(num, config) for num in (0, 1, 16, 17, 1_000_000)] == [0, 1, 1, 2, 7]


def test_block_scores_are_the_products_with_terms_and_without_what_was_shown() -> None:
    model, _ = _fitted(CONFIG, 1)
    block = next(Blocks(PAIRS, CONFIG.dealing()).epoch(np.random.default_rng(0)))
    users = model.users(shown_items(block.shown_item_idx, block.shown_place, block.size, 200))
    scores, targets = block_scores(model, users, block)
    expected = model.scale * torch.einsum("bkd,id->bki", users, model.items()) + model.item_bias
    assert bool((scores[targets.masked_rows_M, :, targets.masked_columns_M] < -1e8).all())
    kept = scores > -1e8
    torch.testing.assert_close(scores[kept], expected[kept])
    assert bool(kept[targets.rows_T, :, targets.columns_T].all())


def test_drawn_candidates_estimate_the_whole_catalogue() -> None:
    whole, drawn = (_fitted(replace(CONFIG, max_candidates=n, num_drawn=n), 1)[1][0]["loss"] for n in (100, 20))
    assert drawn == pytest.approx(whole, rel=0.15)


def test_nothing_to_learn_from_leaves_the_weights_and_tells_no_wins() -> None:
    lonely = PAIRS.where(np.arange(len(PAIRS)) < 0)
    model = started_model(CONFIG.towers, lonely, svd_items(lonely, 8, 0), FEATURES, 0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fit(model, lonely, CONFIG, 1, 0, lambda epoch, _, figures: figures["loss"] == 0.0)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert EpochFigures().win_shares() == []


@pytest.mark.parametrize("wrong", [{"loss": "pairwise"}, {"read_out": "mean"}, {"repel_form": "angle"}])
def test_unknown_choices_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(AttuneError, match=f"found '{next(iter(wrong.values()))}'"):
        MultiInterestTrainingConfig(**wrong)
