from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from training.losses.alignment import Alignment, align, median_squared_distance, squared_mmd
from training.losses.reconstruction import masked_mse

HOWS = get_args(Alignment)


def _codes(seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(40, 6, generator=torch.Generator().manual_seed(seed)) + shift


@pytest.mark.parametrize("how", HOWS)
def test_equal_codes_are_aligned_and_distant_ones_are_not(how: Alignment) -> None:
    codes = _codes(1)
    assert align(codes, codes, how).item() == pytest.approx(0.0, abs=1e-6)
    assert align(codes, codes + 3.0, how).item() > 0.1


@pytest.mark.parametrize("how", HOWS)
def test_gradients_are_finite_even_where_rows_coincide(how: Alignment) -> None:
    codes = torch.zeros(5, 3, requires_grad=True)
    align(codes, torch.zeros(5, 3), how).backward()
    assert codes.grad is not None
    assert torch.isfinite(codes.grad).all()


def test_only_the_paired_loss_sees_who_belongs_to_whom() -> None:
    codes, shuffled = _codes(1), _codes(1).flip(0)
    assert align(codes, shuffled, "mmd_median").item() == pytest.approx(0.0, abs=1e-6)
    assert align(codes, shuffled, "paired_mse").item() > 0.5


def test_one_pair_of_points_by_hand() -> None:
    """Within a set of one point the kernel is 1; across it is exp(-4 / 2)."""
    left, right = torch.tensor([[0.0]]), torch.tensor([[2.0]])
    assert squared_mmd(left, right, 2.0).item() == pytest.approx(2 - 2 * math.exp(-2), abs=1e-6)


def test_the_median_follows_the_scale_where_sigma_1_saturates() -> None:
    near, far = _codes(1) * 100, _codes(2) * 100
    saturated = align(near, far, "mmd_sigma1")
    assert saturated.item() == pytest.approx(2 / 40, abs=1e-3)
    assert median_squared_distance(near, far).item() == pytest.approx(
        median_squared_distance(near / 100, far / 100).item() * 1e4, rel=1e-3
    )
    scaled, plain = align(near, far, "mmd_median"), align(near / 100, far / 100, "mmd_median")
    assert scaled.item() == pytest.approx(plain.item(), abs=1e-3)


def test_a_single_user_has_no_distribution() -> None:
    assert align(torch.ones(1, 4), torch.zeros(1, 4), "mmd_sigma1").item() == 0.0


def test_they_are_means_so_that_twice_the_users_weigh_the_same() -> None:
    left, right = _codes(1), _codes(2)
    twice = align(torch.cat([left, left]), torch.cat([right, right]), "paired_mse")
    assert twice.item() == pytest.approx(align(left, right, "paired_mse").item(), rel=1e-6)


def test_masked_error_counts_what_is_there() -> None:
    rebuilt, target = torch.tensor([[1.0, 9.0], [2.0, 2.0]]), torch.zeros(2, 2)
    mask = torch.tensor([[True, False], [True, True]])
    assert masked_mse(rebuilt, target, mask).item() == pytest.approx((1 + 4 + 4) / 3)
    assert masked_mse(rebuilt, target, torch.zeros(2, 2, dtype=torch.bool)).item() == 0.0
