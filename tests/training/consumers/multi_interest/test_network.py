from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from training.consumers.multi_interest.network import (
    MultiInterest,
    MultiInterestConfig,
    ShownItems,
    UserTowers,
    shown_items,
)

CONFIG = MultiInterestConfig(num_interests=3, width=4, hidden=5, max_length=10)
ITEMS = np.array([0, 1, 2, 3, 3, 4])
PLACE = np.array([0, 0, 0, 2, 2, 2])
"""Three users: one with items 0, 1, 2, one with none, one with items 3, 3, 4."""


def _model(config: MultiInterestConfig = CONFIG) -> MultiInterest:
    torch.manual_seed(0)
    model = MultiInterest(config, torch.randn(5, 2)).eval()
    torch.nn.init.normal_(model.towers.queries)
    torch.nn.init.normal_(model.towers.out_of_hidden, std=0.3)
    torch.nn.init.normal_(model.from_features, std=0.5)
    return model


def _shown(items: np.ndarray = ITEMS, place: np.ndarray = PLACE, num_users: int = 3, length: int = 10) -> ShownItems:
    return shown_items(items, place, num_users, length)


def test_items_are_padded_per_user_and_newer_ones_counted() -> None:
    shown = _shown()
    assert shown.item_idx_BL.tolist() == [[0, 1, 2], [0, 0, 0], [3, 3, 4]]
    assert shown.num_items_B.tolist() == [3, 0, 3]
    assert shown.num_newer()[[0, 2]].tolist() == [[2, 1, 0], [2, 1, 0]]
    assert bool((shown.num_newer()[1] < 0).all())
    assert _shown(length=2).item_idx_BL.tolist() == [[1, 2], [0, 0], [3, 4]]


@pytest.mark.parametrize("shared", [False, True])
def test_a_user_gets_k_unit_vectors_and_zeros_without_history(shared: bool) -> None:
    users = _model(replace(CONFIG, shared_trunk=shared)).users(_shown())
    assert users.shape == (3, 3, 4)
    lengths = users.norm(dim=2)
    torch.testing.assert_close(lengths[[0, 2]], torch.ones(2, 3))
    assert not users[1].any()
    assert float((users[0, 0] - users[0, 1]).abs().max()) > 1e-3


def test_attention_sums_to_one_per_user_and_tower_and_prefers_the_query() -> None:
    model = _model()
    with torch.no_grad():
        model.history_items.weight.copy_(torch.eye(5, 4))
        model.towers.queries.copy_(5 * torch.eye(3, 4))
        model.towers.log_decay.fill_(-20)
    weights = model.towers.attention(model.history_items.weight, _shown()).detach()
    torch.testing.assert_close(weights[[0, 2]].sum(2), torch.ones(2, 3))
    assert weights[0].argmax(1).tolist() == [0, 1, 2]
    high, low = np.exp(5) / (np.exp(5) + 2), 1 / (np.exp(5) + 2)
    np.testing.assert_allclose(weights[0, 0], [high, low, low], rtol=1e-5)


def test_without_a_preference_weights_fall_by_the_decay() -> None:
    model = _model(replace(CONFIG, decay=0.5))
    with torch.no_grad():
        model.towers.queries.zero_()
    weights = model.towers.attention(model.history_items.weight, _shown()).detach()
    torch.testing.assert_close(weights[0, :, 1] / weights[0, :, 2], torch.full((3,), float(np.exp(-1.0))))


def test_items_past_the_longest_length_are_not_read() -> None:
    model = _model(replace(CONFIG, max_length=2))
    whole, cut = (_shown(items, np.zeros(len(items), np.int64), 1, 2) for items in (ITEMS[:3], ITEMS[1:3]))
    torch.testing.assert_close(model.users(whole), model.users(cut))


def test_users_do_not_depend_on_each_other() -> None:
    model = _model()
    together = model.users(_shown())
    alone = model.users(_shown(ITEMS[3:], np.zeros(3, np.int64), 1))
    torch.testing.assert_close(together[2:], alone)


def test_padding_has_no_weight() -> None:
    model = _model()
    weights = model.towers.attention(model.history_items.weight, _shown(ITEMS[:4], PLACE[:4])).detach()
    assert weights.shape == (3, 3, 3)
    assert not weights[2, :, 1:].any()


def test_towers_of_their_own_do_not_share_a_parameter_and_heads_of_a_trunk_do() -> None:
    for shared, pools in ((False, 3), (True, 1)):
        towers = UserTowers(replace(CONFIG, shared_trunk=shared))
        assert len(towers.queries) == len(towers.into_hidden) == pools
        assert len(towers.out_of_hidden) == 3


def test_an_item_is_its_id_and_its_features() -> None:
    model = _model()
    items = model.items().detach()
    torch.testing.assert_close(items.norm(dim=1), torch.ones(5))
    expected = model.scored_items.weight + model.features_IE @ model.from_features
    torch.testing.assert_close(items, torch.nn.functional.normalize(expected, dim=1).detach())
    torch.testing.assert_close(model.items(torch.tensor([4, 0])).detach(), items[[4, 0]])
    by_features = model.directions_of(torch.stack([model.features_IE[1], torch.zeros(2)])).detach()
    assert float(by_features[0].norm()) == pytest.approx(1.0)
    assert not by_features[1].any()


def test_gradients_reach_every_part_and_are_finite() -> None:
    model = _model()
    scores = model.scale * model.users(_shown()).flatten(0, 1) @ model.items().T + model.item_bias
    (scores.logsumexp(1).sum() + model.user_bias(torch.tensor([3.0, 0.0, 3.0])).sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert bool(parameter.grad.any()), name


def test_features_are_not_learned_from_when_switched_off() -> None:
    assert not MultiInterest(replace(CONFIG, item_features=False), torch.ones(5, 2)).from_features.requires_grad
