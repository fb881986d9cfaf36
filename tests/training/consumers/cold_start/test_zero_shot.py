from __future__ import annotations

from typing import Any

import pytest
import torch

from training.consumers.cold_start.zero_shot import AttentionPooling, Views, ZeroShotConfig, ZeroShotTower
from training.reproducible import deterministic

SMALL: dict[str, Any] = {"attention": 5, "encoder": (8, 7, 6), "decoder": (6, 8), "dropout": 0.0, "num_behaviours": 3}
NUM_ATTRIBUTES, WIDTH, NUM_COLUMNS = 4, 2, 5


def _tower(**changes: Any) -> ZeroShotTower:
    with deterministic(1):
        return ZeroShotTower(NUM_ATTRIBUTES, WIDTH, NUM_COLUMNS, ZeroShotConfig(**{**SMALL, **changes})).eval()


def _views(num_users: int = 6) -> Views:
    made = torch.Generator().manual_seed(2)
    return Views.of(
        torch.randn(num_users, NUM_ATTRIBUTES, WIDTH, generator=made, requires_grad=True),
        torch.ones(num_users, NUM_ATTRIBUTES, dtype=torch.bool),
        torch.randn(num_users, 3, WIDTH, generator=made),
        torch.ones(num_users, 3, dtype=torch.bool),
        torch.randn(num_users, NUM_COLUMNS, generator=made),
        torch.ones(num_users, NUM_COLUMNS, dtype=torch.bool),
    )


def test_the_defaults_are_the_papers_and_small_keeps_what_it_is_told() -> None:
    paper = ZeroShotConfig()
    assert (paper.attention, paper.encoder, paper.decoder, paper.dropout) == (128, (1024, 512, 512), (512, 1024), 0.5)
    small = ZeroShotConfig.small(num_behaviours=7, views="attributes")
    assert (small.num_behaviours, small.views, small.encoder) == (7, "attributes", (256, 128, 128))


def test_pooling_is_a_weighted_mean_of_the_tokens_that_are_there() -> None:
    pooling = AttentionPooling(2, 3)
    tokens = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [50.0, 50.0]]])
    mask = torch.tensor([[True, True, False]])
    pooled = pooling(tokens, mask)[0]
    assert pooled.sum().item() == pytest.approx(1.0)
    moved = tokens.clone()
    moved[0, 2] = -7.0
    assert torch.equal(pooling(moved, mask)[0], pooled)


def test_pooling_does_not_depend_on_the_order_and_nothing_gives_zeros() -> None:
    pooling, tokens = AttentionPooling(2, 3), torch.randn(1, 4, 2)
    mask = torch.ones(1, 4, dtype=torch.bool)
    torch.testing.assert_close(pooling(tokens.flip(1), mask), pooling(tokens, mask))
    assert not pooling(tokens, ~mask).any()


@pytest.mark.parametrize("kind", ["both", "attributes", "linear"])
def test_both_outputs_come_from_attributes_alone(kind: str) -> None:
    views = _views()
    behaviours, columns = _tower(views=kind)(views.attributes_BAD, views.attribute_mask_BA)
    assert behaviours.shape == (6, 3, WIDTH)
    assert columns.shape == (6, NUM_COLUMNS)


def test_a_code_rebuilds_both_views_and_the_encoder_input() -> None:
    tower, views = _tower(), _views()
    p_BC, q_BC = tower.codes(views)
    assert q_BC is not None
    assert p_BC.shape == q_BC.shape == (6, 6)
    for code in (p_BC, q_BC):
        attributes, behaviours, columns = tower.rebuild(code)
        assert (attributes.shape, behaviours.shape, columns.shape) == ((6, 4, 2), (6, 3, 2), (6, 5))


def test_what_learns_from_attributes_alone_has_no_code_of_behaviour() -> None:
    tower = _tower(views="attributes")
    assert tower.codes(_views())[1] is None
    assert not hasattr(tower, "encode_behaviours")
    assert _tower(views="linear").is_linear
    assert not tower.is_linear


def test_views_carry_no_gradient_to_the_tables() -> None:
    assert not _views().attributes_BAD.requires_grad


def test_without_columns_there_is_no_second_output() -> None:
    tower = ZeroShotTower(NUM_ATTRIBUTES, WIDTH, 0, ZeroShotConfig(**SMALL))
    behaviours, columns = tower(torch.zeros(2, NUM_ATTRIBUTES, WIDTH), torch.ones(2, NUM_ATTRIBUTES, dtype=torch.bool))
    assert behaviours.shape == (2, 3, WIDTH)
    assert columns.shape == (2, 0)
