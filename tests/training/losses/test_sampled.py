from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from training.losses.sampled import NEGATIVE_KINDS, binary_cross_entropy, draw_negatives, sampled_softmax

USERS = np.array([0, 0, 1, 2], np.int64)
ITEMS = np.array([3, 4, 3, 5], np.int64)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny products are slower on two threads than on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _fit_bce(kind: str, joint: torch.Tensor) -> torch.Tensor:
    rng = np.random.default_rng(0)
    num_users, num_items = joint.shape
    phi = torch.zeros(joint.shape, requires_grad=True)
    optimizer = torch.optim.Adam([phi], lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1500)
    flat = joint.flatten().double().numpy()
    for _ in range(1500):
        users, items = np.unravel_index(rng.choice(len(flat), 512, p=flat / flat.sum()), joint.shape)
        negatives = draw_negatives(kind, users, items, num_users, num_items, rng)  # type: ignore[arg-type]
        loss = binary_cross_entropy(phi[users, items], phi[negatives])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return phi.detach()


@pytest.mark.slow
@pytest.mark.parametrize("kind", NEGATIVE_KINDS)
def test_each_kind_of_negative_reaches_its_minimiser(kind: str) -> None:
    rng = np.random.default_rng(1)
    joint = torch.softmax(torch.from_numpy(rng.normal(size=(6 * 8))).float(), 0).reshape(6, 8)
    users, items = joint.sum(1, keepdim=True), joint.sum(0, keepdim=True)
    goals = {
        "keep_user": joint / users * 8,
        "keep_item": joint / items * 6,
        "uniform": joint * 48,
        "shuffled": joint / users / items,
    }
    difference = _fit_bce(kind, joint) - goals[kind].log()
    assert float((joint * difference**2).sum().sqrt()) < 0.2


def test_sampled_softmax_of_equal_scores_is_the_log_of_the_candidates() -> None:
    loss = sampled_softmax(torch.zeros(3), torch.zeros(3, 7))
    assert float(loss) == pytest.approx(np.log(8))


def test_sampled_softmax_falls_as_the_positive_rises() -> None:
    candidates = torch.randn(5, 9)
    assert float(sampled_softmax(torch.full((5,), 3.0), candidates)) < float(
        sampled_softmax(torch.zeros(5), candidates)
    )


def test_binary_cross_entropy_of_undecided_scores() -> None:
    assert float(binary_cross_entropy(torch.zeros(4), torch.zeros(4))) == pytest.approx(2 * np.log(2))


@pytest.mark.parametrize("kind", NEGATIVE_KINDS)
def test_negatives_stay_inside_and_are_the_same_for_a_seed(kind: str) -> None:
    first = draw_negatives(kind, USERS, ITEMS, 3, 6, np.random.default_rng(5))  # type: ignore[arg-type]
    again = draw_negatives(kind, USERS, ITEMS, 3, 6, np.random.default_rng(5))  # type: ignore[arg-type]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert first[0].max() < 3
    assert first[1].max() < 6


def test_what_is_kept_is_kept() -> None:
    rng = np.random.default_rng(0)
    assert draw_negatives("keep_user", USERS, ITEMS, 3, 6, rng)[0] is USERS
    assert draw_negatives("keep_item", USERS, ITEMS, 3, 6, rng)[1] is ITEMS
    assert sorted(draw_negatives("shuffled", USERS, ITEMS, 3, 6, rng)[1]) == sorted(ITEMS)


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match="hardest"):
        draw_negatives("hardest", USERS, ITEMS, 3, 6, np.random.default_rng(0))  # type: ignore[arg-type]
