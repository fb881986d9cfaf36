from __future__ import annotations

import pytest
import torch

from training.ranking.two_tower import TwoTower, TwoTowerConfig


def _tower() -> TwoTower:
    torch.manual_seed(0)
    return TwoTower(TwoTowerConfig(width=4), num_items=5).eval()


def test_both_sides_have_unit_length_and_an_empty_history_is_zero() -> None:
    tower = _tower()
    users = tower.users(torch.tensor([[1, 2], [3, 0]]), torch.tensor([[True, True], [False, False]]))
    torch.testing.assert_close(users.norm(dim=1), torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(tower.items().norm(dim=1), torch.ones(5))
    torch.testing.assert_close(tower.items(torch.tensor([4, 1])), tower.items()[[4, 1]])


def test_pooled_and_padded_histories_agree() -> None:
    tower = _tower()
    mask = torch.tensor([[True, True, True], [True, False, False]])
    padded = tower.users(torch.tensor([[1, 2, 4], [3, 0, 0]]), mask)
    weights = tower.history.pooling_weights(mask)
    flat = tower.pooled_users(torch.tensor([1, 2, 4, 3]), torch.tensor([0, 3]), weights[mask])
    torch.testing.assert_close(padded, flat)


def test_start_fills_both_tables_and_the_item_terms() -> None:
    tower, items = _tower(), torch.randn(5, 4)
    tower.start_from(items, torch.arange(5.0))
    torch.testing.assert_close(tower.history_items.weight.data, items)
    torch.testing.assert_close(tower.scored_items.weight.data, items)
    assert tower.item_bias.tolist() == [0, 1, 2, 3, 4]


def test_one_table_is_read_and_scored_and_starts_halfway() -> None:
    tower = TwoTower(TwoTowerConfig(width=2, one_table=True), num_items=1)
    tower.start_from(torch.tensor([[1.0, 0.0]]), torch.zeros(1), torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(tower.items().detach(), torch.full((1, 2), 0.5**0.5))
    assert tower.scored_items is tower.history_items
    assert len([*tower.parameters()]) == len([*TwoTower(TwoTowerConfig(width=2), 1).parameters()]) - 1


def test_scale_is_the_inverse_temperature_and_activity_a_logarithm() -> None:
    tower = _tower()
    assert float(tower.scale.detach()) == pytest.approx(10, rel=1e-5)
    terms = tower.user_bias(torch.tensor([1.0, 10.0])).detach()
    torch.testing.assert_close(terms, torch.log(torch.tensor([1.0, 10.0])))
    assert bool(torch.isfinite(tower.user_bias(torch.zeros(1))).all())
