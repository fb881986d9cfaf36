import pytest
import torch

from training.data.input_layout import Block, InputLayout
from training.losses.reconstruction import block_losses, reconstruction_loss

LAYOUT = InputLayout(
    (Block("wide", "vector", 0, 4, ()), Block("narrow", "dense", 4, 5, ()), Block("country", "one_hot", 5, 7, ())),
    (0.0,) * 7,
)
X = torch.tensor([[1.0, 1, 1, 1, 2, 1, 0], [5.0, 5, 5, 5, 0, 0, 1]])
X_HAT = torch.tensor([[0.0, 0, 0, 0, 0, 0, 0], [0.0, 0, 0, 0, 0, 0, 0]])
ALL = torch.ones(2, 3, dtype=torch.bool)


def test_each_block_is_averaged_by_itself():
    losses = block_losses(X_HAT, X, ALL, LAYOUT)
    assert losses.tolist() == pytest.approx([13.0, 2.0, 0.6931472])


def test_absent_blocks_of_a_user_do_not_count():
    observed = torch.tensor([[True, True, True], [False, True, True]])
    assert block_losses(X_HAT, X, observed, LAYOUT)[0].item() == pytest.approx(1.0)


def test_a_block_that_nobody_has_costs_nothing():
    observed = torch.tensor([[False, True, True], [False, True, True]])
    assert block_losses(X_HAT, X, observed, LAYOUT)[0].item() == 0.0


def test_a_wide_block_weighs_no_more_than_a_narrow_one():
    assert reconstruction_loss(X_HAT, X, ALL, LAYOUT, {}).item() == pytest.approx((13 + 2 + 0.6931472) / 3)


def test_weights_name_blocks():
    weighted = reconstruction_loss(X_HAT, X, ALL, LAYOUT, {"wide": 0.0, "narrow": 3.0})
    assert weighted.item() == pytest.approx((6 + 0.6931472) / 4)


def test_perfect_is_zero_and_gradients_are_finite():
    guess = X.clone()
    guess[:, 5:] *= 60
    guess.requires_grad_()
    loss = reconstruction_loss(guess, X, ALL, LAYOUT, {})
    loss.backward()
    assert loss.item() < 1e-6
    assert torch.isfinite(guess.grad).all()
