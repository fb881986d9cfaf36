from __future__ import annotations

import pytest
import torch

from training.consumers.cold_start.loss import zero_shot_loss
from training.consumers.cold_start.zero_shot import Views, ZeroShotConfig, ZeroShotTower
from training.losses.alignment import align
from training.losses.reconstruction import masked_mse
from training.reproducible import deterministic


def _tower(views: str) -> ZeroShotTower:
    sizes = {"attention": 4, "encoder": (8, 8, 4), "decoder": (4, 8), "dropout": 0.0, "num_behaviours": 3}
    with deterministic(1):
        return ZeroShotTower(2, 3, 4, ZeroShotConfig(**sizes, views=views)).eval()


def _views() -> Views:
    made = torch.Generator().manual_seed(1)
    some = [torch.randn(5, n, 3, generator=made) for n in (2, 3)]
    present = [torch.ones(5, n, dtype=torch.bool) for n in (2, 3, 4)]
    return Views.of(some[0], present[0], some[1], present[1], torch.randn(5, 4, generator=made), present[2])


def test_it_is_l_a_and_l_v_and_l_d() -> None:
    tower, views = _tower("both"), _views()
    p_BC, q_BC = tower.codes(views)
    assert q_BC is not None
    expected = align(p_BC, q_BC, "paired_mse")
    for code in (p_BC, q_BC):
        for rebuilt, target in zip(
            tower.rebuild(code), (views.attributes_BAD, views.behaviours_BLD, views.x_BF), strict=True
        ):
            expected = expected + masked_mse(rebuilt, target, torch.ones_like(target, dtype=torch.bool))
    torch.testing.assert_close(zero_shot_loss(tower, views, "paired_mse"), expected)


def test_attributes_alone_leave_l_a_whatever_the_alignment() -> None:
    tower, views = _tower("attributes"), _views()
    assert zero_shot_loss(tower, views, "mmd_median") == zero_shot_loss(tower, views, "paired_mse")


def test_the_linear_map_rebuilds_behaviour_alone() -> None:
    tower, views = _tower("linear"), _views()
    behaviours, columns = tower(views.attributes_BAD, views.attribute_mask_BA)
    by_hand = (behaviours - views.behaviours_BLD).square().mean() + (columns - views.x_BF).square().mean()
    torch.testing.assert_close(zero_shot_loss(tower, views, "mmd_median"), by_hand)


@pytest.mark.parametrize("views", ["both", "attributes", "linear"])
def test_one_batch_is_overfitted(views: str) -> None:
    tower, batch = _tower(views), _views()
    optimizer = torch.optim.Adam(tower.parameters(), lr=0.02)
    before = float(zero_shot_loss(tower, batch, "paired_mse").detach())
    for _ in range(150):
        optimizer.zero_grad()
        loss = zero_shot_loss(tower, batch, "paired_mse")
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < (0.6 if views == "linear" else 0.3) * before
