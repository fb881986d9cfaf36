from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from training.losses.nce import BBCNCE, COLUMN_BCNCE, INFO_NCE, LOSSES, ROW_BCNCE, SIM_CLR, Switches, bidirectional_nce

NUM_USERS, NUM_ITEMS, BATCH = 30, 40, 256


def _joint(seed: int = 0) -> torch.Tensor:
    """A joint probability [30, 40] with long tails on both sides and taste of rank 4."""
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=(NUM_USERS, 4)) @ rng.normal(size=(4, NUM_ITEMS)) * 0.7
    logits = taste - np.log(np.arange(1, NUM_USERS + 1))[:, None] * 0.7 - np.log(np.arange(1, NUM_ITEMS + 1))[None, :]
    return torch.softmax(torch.from_numpy(logits).float().flatten(), dim=0).reshape(NUM_USERS, NUM_ITEMS)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny products are slower on two threads than on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _fit(switches: Switches, joint: torch.Tensor, steps: int = 500) -> torch.Tensor:
    torch.manual_seed(0)
    phi = torch.zeros(NUM_USERS, NUM_ITEMS, requires_grad=True)
    log_p_users, log_p_items = joint.sum(1).log(), joint.sum(0).log()
    optimizer = torch.optim.Adam([phi], lr=0.15)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        users, items = np.unravel_index(torch.multinomial(joint.flatten(), BATCH, replacement=True), joint.shape)
        users, items = torch.from_numpy(users), torch.from_numpy(items)
        loss = bidirectional_nce(phi[users][:, items], log_p_items[items], log_p_users[users], switches)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return phi.detach()


def _residual(phi: torch.Tensor, goal: torch.Tensor, joint: torch.Tensor, free: str) -> float:
    """p-weighted root mean square of phi - goal, after the freedom that the loss leaves: const, c(u) or d(i)."""
    difference = phi - goal
    axis = {"const": (0, 1), "user": (1,), "item": (0,)}[free]
    centre = (joint * difference).sum(axis, keepdim=True) / joint.sum(axis, keepdim=True)
    return float((joint * (difference - centre) ** 2).sum().sqrt())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("switches", "goal", "free"),
    [
        (INFO_NCE, "pmi", "user"),
        (SIM_CLR, "pmi", "const"),
        (ROW_BCNCE, "joint", "user"),
        (COLUMN_BCNCE, "joint", "item"),
        (BBCNCE, "joint", "const"),
    ],
)
def test_each_loss_of_the_family_reaches_its_minimiser(switches: Switches, goal: str, free: str) -> None:
    joint = _joint()
    pmi = joint.log() - joint.sum(1, keepdim=True).log() - joint.sum(0, keepdim=True).log()
    goals = {"pmi": pmi, "joint": joint.log()}
    phi = _fit(switches, joint)
    reached = _residual(phi, goals[goal], joint, free)
    missed = _residual(phi, goals["pmi" if goal == "joint" else "joint"], joint, free)
    assert reached < (0.2 if switches == BBCNCE else 0.3)
    assert missed > 3 * reached


def test_uncorrected_row_is_plain_cross_entropy() -> None:
    scores, zeros = torch.randn(5, 5), torch.zeros(5)
    expected = torch.nn.functional.cross_entropy(scores, torch.arange(5))
    torch.testing.assert_close(bidirectional_nce(scores, zeros, zeros, INFO_NCE), expected)


def test_both_sides_of_a_symmetric_batch_count_alike() -> None:
    scores, log_p = torch.randn(4, 4), torch.randn(4)
    symmetric = scores + scores.T
    both = bidirectional_nce(symmetric, log_p, log_p, BBCNCE)
    torch.testing.assert_close(both, 2 * bidirectional_nce(symmetric, log_p, log_p, ROW_BCNCE))


def test_correction_by_a_constant_changes_nothing() -> None:
    scores = torch.randn(6, 6)
    constant = torch.full((6,), -3.0)
    corrected = bidirectional_nce(scores, constant, constant, BBCNCE)
    torch.testing.assert_close(corrected, bidirectional_nce(scores, constant, constant, SIM_CLR))


def test_order_of_the_batch_does_not_matter() -> None:
    scores, log_p_items, log_p_users = torch.randn(7, 7), torch.randn(7), torch.randn(7)
    order = torch.randperm(7)
    shuffled = bidirectional_nce(scores[order][:, order], log_p_items[order], log_p_users[order])
    torch.testing.assert_close(shuffled, bidirectional_nce(scores, log_p_items, log_p_users))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_gradients_are_finite_even_for_extreme_scores(name: str) -> None:
    scores = (torch.randn(8, 8) * 100).requires_grad_()
    bidirectional_nce(scores, torch.randn(8) * 20, torch.randn(8) * 20, LOSSES[name]).backward()
    assert bool(torch.isfinite(scores.grad).all())
