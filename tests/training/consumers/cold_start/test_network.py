from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from training.consumers.cold_start.network import (
    PADDING,
    ColdStartModelConfig,
    ColdStartNetwork,
    InnerProductRanker,
    MlpRanker,
    UserTokens,
)
from training.consumers.cold_start.zero_shot import ZeroShotConfig
from training.reproducible import deterministic

TOWER = ZeroShotConfig(attention=4, encoder=(8, 8, 4), decoder=(4, 8), dropout=0.0, num_behaviours=3)
RANKERS = ("mlp", "inner_product")


def _network(**changes: Any) -> ColdStartNetwork:
    config = ColdStartModelConfig(**{"width": 4, "zero_shot": TOWER, "hidden": (8, 6), "user_hidden": 5, **changes})
    with deterministic(1):
        return ColdStartNetwork(config, num_values=5, num_items=7, num_tokens=4, num_columns=2).eval()


def _users() -> UserTokens:
    """An old user, a new one with attributes and a pick, and one of whom nothing is known."""
    return UserTokens(
        torch.tensor([[0, 1], [0, PADDING], [PADDING, PADDING]]),
        torch.tensor([[PADDING, PADDING], [6, PADDING], [PADDING, PADDING]]),
        torch.tensor([[PADDING, 2, 3], [PADDING] * 3, [PADDING] * 3]),
    )


def test_who_has_no_behaviour_is_new() -> None:
    assert _users().is_new.tolist() == [False, True, True]


def test_picks_are_attributes_that_live_in_the_item_table() -> None:
    network = _network()
    tokens, mask = network.attributes(_users())
    assert mask.tolist() == [[True, True, False, False], [True, False, True, False], [False] * 4]
    assert torch.equal(tokens[1, 2], network.items.weight[6])
    assert not tokens[~mask].any()


def test_behaviour_is_the_mean_of_the_items_and_zero_without_filling() -> None:
    network = _network()
    _, behaviours = network.pooled(_users(), fill=False)
    torch.testing.assert_close(behaviours[0], network.items.weight[[2, 3]].mean(dim=0))
    assert not behaviours[1:].any()


def test_filling_changes_new_users_alone_and_moves_no_tower() -> None:
    network = _network()
    plain, filled = (network.pooled(_users(), fill=fill)[1] for fill in (False, True))
    assert torch.equal(plain[0], filled[0])
    assert filled[1].abs().sum() > 0
    filled[1].sum().backward()
    assert network.zero_shot is not None
    assert all(parameter.grad is None for parameter in network.zero_shot.parameters())
    assert network.virtual_mark.grad is not None


def test_what_fills_is_the_same_in_training_and_leaves_the_tower_learning() -> None:
    network = _network(zero_shot=replace(TOWER, dropout=0.5))
    served = network.fill(_users())[0]
    network.train()
    assert torch.equal(network.fill(_users())[0], served)
    assert network.zero_shot is not None
    assert all(part.training for part in network.zero_shot.modules())


def test_attributes_are_summed_and_training_leaves_some_out_whole() -> None:
    network, users = _network(token_dropout=0.5), _users()
    tokens, _ = network.attributes(users)
    torch.testing.assert_close(network.pooled(users, fill=False)[0], tokens.sum(dim=1))
    assert torch.equal(network.drop_tokens(tokens), tokens)
    network.train()
    with deterministic(1):
        dropped = network.drop_tokens(torch.ones(40, 5, 3))
    assert set(dropped.flatten().tolist()) == {0.0, 2.0}
    assert torch.equal(dropped.amin(dim=2), dropped.amax(dim=2))


def test_without_a_tower_nobody_is_filled() -> None:
    network = _network(zero_shot=None)
    assert not network.pooled(_users(), fill=True)[1][1:].any()


@pytest.mark.parametrize("ranker", RANKERS)
def test_both_ranking_towers_keep_the_same_contract(ranker: str) -> None:
    network = _network(ranker=ranker)
    targets = torch.tensor([[0, 1], [2, 3], [4, 5]])
    logits = network.logits(_users(), targets, fill=True)
    assert logits.shape == (3, 2)
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(network.logits(_users(), targets.flip(1), fill=True), logits.flip(1))
    with torch.no_grad():
        network.item_bias += 1.0
    torch.testing.assert_close(network.logits(_users(), targets, fill=True), logits + 1.0)


def test_more_padding_changes_nothing() -> None:
    network, users = _network(), _users()
    wider = UserTokens(
        users.attribute_idx_BA,
        users.pick_idx_BP,
        torch.nn.functional.pad(users.behaviour_idx_BL, (4, 0), value=PADDING),
    )
    torch.testing.assert_close(network.pooled(wider, fill=True)[1], network.pooled(users, fill=True)[1])
    x, mask = torch.zeros(3, 2), torch.ones(3, 2, dtype=torch.bool)
    assert network.views(wider, x, mask).behaviours_BLD.shape == (3, 3, 4)


def test_all_logits_are_the_inner_products_of_the_vectors() -> None:
    network = _network()
    everything = torch.arange(7).expand(3, 7)
    torch.testing.assert_close(
        network.all_logits(_users(), fill=True), network.logits(_users(), everything, fill=True), atol=1e-6, rtol=1e-5
    )
    assert isinstance(network.ranker, InnerProductRanker)
    assert isinstance(_network(ranker="mlp").ranker, MlpRanker)


def test_both_item_tables_start_where_they_are_told() -> None:
    network, start = _network(), torch.arange(28.0).view(7, 4)
    network.start_from(start, torch.arange(7.0))
    assert torch.equal(network.items.weight, network.targets.weight)
    assert torch.equal(network.item_bias, torch.arange(7.0))


def test_optimizer_b_gets_every_table_and_no_part_of_the_tower() -> None:
    network = _network()
    assert network.zero_shot is not None
    tower = {id(parameter) for parameter in network.zero_shot.parameters()}
    ranking = [*network.embedding_parameters(), *network.ranker.parameters()]
    assert not tower & {id(parameter) for parameter in ranking}
    assert len(tower) + len(ranking) == len(list(network.parameters()))
