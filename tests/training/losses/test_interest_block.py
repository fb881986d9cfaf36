from __future__ import annotations

import pytest
import torch

from training.losses.block import BlockTargets
from training.losses.interest_block import InterestLoss, interest_cross_entropy, maximum_in_place
from training.losses.interests import balance, best_of_interests, target_losses, user_side_losses, win_counts

TARGETS = BlockTargets(
    rows_T=torch.tensor([0, 0, 2]),
    columns_T=torch.tensor([1, 4, 1]),
    weights_T=torch.tensor([1.0, 0.5, 2.0]),
    masked_rows_M=torch.tensor([0, 1]),
    masked_columns_M=torch.tensor([2, 3]),
)


def _inputs(num_interests: int = 3) -> list[torch.Tensor]:
    torch.manual_seed(0)
    shapes = [(3, num_interests, 4), (6, 4), (6,), (3,)]
    return [torch.randn(shape, dtype=torch.float32).requires_grad_() for shape in shapes]


def _plain(inputs: list[torch.Tensor], weighed: InterestLoss) -> tuple[torch.Tensor, torch.Tensor]:
    """The same part by part on all scores by interest, by autograd."""
    users, items, bias, user_bias = inputs
    scores_BKC = torch.einsum("bkd,cd->bkc", users, items) + bias
    shown = torch.zeros(3, 6, dtype=torch.bool)
    shown[TARGETS.masked_rows_M, TARGETS.masked_columns_M] = True
    scores_BKC = scores_BKC.masked_fill(shown[:, None], -1e9)
    losses_T = target_losses(scores_BKC, TARGETS, "max", weighed.softness)
    best = best_of_interests(scores_BKC, weighed.softness)
    losses_T = losses_T + weighed.user_side * user_side_losses(best, user_bias, TARGETS)
    loss = (TARGETS.weights_T * losses_T).sum() / TARGETS.weights_T.sum()
    return loss + weighed.balance * balance(scores_BKC, TARGETS), win_counts(scores_BKC, TARGETS)


@pytest.mark.parametrize("num_interests", [1, 2, 3])
@pytest.mark.parametrize(
    "weighed",
    [
        InterestLoss(user_side=0.0, balance=0.0, softness=0.0),
        InterestLoss(user_side=0.5, balance=0.0, softness=0.3),
        InterestLoss(user_side=0.7, balance=2.0, softness=0.0),
        InterestLoss(user_side=0.7, balance=2.0, softness=0.3),
    ],
)
def test_value_and_gradients_are_those_of_the_parts(weighed: InterestLoss, num_interests: int) -> None:
    ours, plain = _inputs(num_interests), _inputs(num_interests)
    loss, wins = interest_cross_entropy(*ours, TARGETS, weighed)
    expected, expected_wins = _plain(plain, weighed)
    torch.testing.assert_close(loss, expected)
    assert wins.tolist() == expected_wins.tolist()
    (3 * loss).backward()
    (3 * expected).backward()
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a.grad, torch.zeros_like(a) if b.grad is None else b.grad)


def test_the_gradient_of_a_hard_maximum_falls_to_the_first_of_the_best() -> None:
    scores = torch.tensor([[[3.0, 0.0, 1.0]], [[0.0, 5.0, 1.0]], [[3.0, 4.0, 0.5]]])
    best, shares = maximum_in_place(scores, 0.0)
    assert best.tolist() == [[3, 5, 1]]
    assert shares.tolist() == [[[1, 0, 1]], [[0, 1, 0]], [[0, 0, 0]]]


def test_a_soft_maximum_shares_its_gradient_by_a_softmax() -> None:
    scores = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(1))
    expected = torch.softmax(scores / 0.5, dim=0)
    best, shares = maximum_in_place(scores.clone(), 0.5)
    torch.testing.assert_close(shares, expected)
    torch.testing.assert_close(best, best_of_interests(scores.transpose(0, 1), 0.5))


def test_equal_interests_do_not_count_twice() -> None:
    users, items, bias, user_bias = (value.detach() for value in _inputs(1))
    twice = users.repeat(1, 2, 1).requires_grad_()
    single = users.clone().requires_grad_()
    weighed = InterestLoss(user_side=0.5, balance=0.0, softness=0.0)
    for given in (twice, single):
        interest_cross_entropy(given, items, bias, user_bias, TARGETS, weighed)[0].backward()
    assert twice.grad is not None
    torch.testing.assert_close(twice.grad.sum(1, keepdim=True), single.grad)


def test_extreme_scores_stay_finite() -> None:
    users, items, bias, user_bias = (value.detach() * 300 for value in _inputs())
    users.requires_grad_()
    for softness in (0.0, 0.3):
        weighed = InterestLoss(user_side=0.5, balance=0.5, softness=softness)
        interest_cross_entropy(users, items, bias, user_bias, TARGETS, weighed)[0].backward()
    assert bool(torch.isfinite(users.grad).all())
