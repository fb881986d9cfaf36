from __future__ import annotations

import math

import pytest
import torch

from training.losses.block import BlockTargets
from training.losses.interests import (
    READ_OUTS,
    balance,
    best_of_interests,
    hinge_losses,
    target_losses,
    user_side_losses,
    win_counts,
)

SCORES = torch.tensor([[[3.0, 0.0, 1.0], [0.0, 5.0, 2.0]], [[1.0, 1.0, 1.0], [0.0, 0.0, 4.0]]])
"""Two users of two interests, three candidates."""


def _targets(rows: list[int], columns: list[int]) -> BlockTargets:
    nothing = torch.zeros(0, dtype=torch.int64)
    return BlockTargets(
        rows_T=torch.tensor(rows, dtype=torch.int64),
        columns_T=torch.tensor(columns, dtype=torch.int64),
        weights_T=torch.ones(len(rows)),
        masked_rows_M=nothing,
        masked_columns_M=nothing,
    )


def _log_sum(*values: float) -> float:
    return math.log(sum(math.exp(v) for v in values))


def test_every_item_is_scored_by_its_best_interest() -> None:
    assert best_of_interests(SCORES, 0.0).tolist() == [[3, 5, 2], [1, 1, 4]]


def test_the_soft_maximum_lies_below_the_hard_one_and_tends_to_it() -> None:
    hard, soft = best_of_interests(SCORES, 0.0), best_of_interests(SCORES, 2.0)
    assert bool((soft <= hard).all())
    assert float(soft[0, 0]) == pytest.approx(2 * (_log_sum(1.5, 0.0) - math.log(2)), abs=1e-6)
    torch.testing.assert_close(best_of_interests(SCORES, 1e-3), hard, atol=1e-2, rtol=0)
    torch.testing.assert_close(best_of_interests(SCORES[:, :1], 0.7), SCORES[:, 0])


def test_max_for_all_scores_negatives_by_their_own_best_interest() -> None:
    losses = target_losses(SCORES, _targets([0, 1], [0, 2]), "max", 0.0)
    assert losses.tolist() == pytest.approx([_log_sum(3, 5, 2) - 3, _log_sum(1, 1, 4) - 4], abs=1e-6)


def test_positive_read_out_scores_negatives_by_the_interest_of_the_target() -> None:
    losses = target_losses(SCORES, _targets([0, 1], [0, 2]), "positive", 0.0)
    assert losses.tolist() == pytest.approx([_log_sum(3, 0, 1) - 3, _log_sum(0, 0, 4) - 4], abs=1e-6)


def test_what_another_interest_ranks_high_is_pushed_down_by_max_for_all_alone() -> None:
    """The mismatch: item 1 is scored 5 by the interest that target 0 does not select, and serving shows it first."""
    pushed = {}
    for read_out in READ_OUTS:
        scores = SCORES.clone().requires_grad_()
        target_losses(scores, _targets([0], [0]), read_out, 0.0).sum().backward()
        assert scores.grad is not None
        pushed[read_out] = float(scores.grad[0, 1, 1])
    assert pushed["max"] > 0.5
    assert pushed["positive"] == 0.0


def test_one_interest_makes_both_read_outs_one() -> None:
    targets = _targets([0, 1, 1], [1, 0, 2])
    by_max, by_positive = (target_losses(SCORES[:, :1], targets, name, 0.0) for name in READ_OUTS)
    torch.testing.assert_close(by_max, by_positive)


@pytest.mark.parametrize(("read_out", "expected"), [("max", (1 + 0 + 3) / 3), ("positive", 0.0)])
def test_the_hinge_by_hand(read_out: str, expected: float) -> None:
    """Target 0 of user 0 scores 3: with a margin of 1, negatives 0, 2 and 1 score 3, 2, 5 by maximum."""
    drawn = torch.tensor([0, 2, 1]) if read_out == "max" else torch.tensor([1, 1, 2])
    losses = hinge_losses(SCORES, _targets([0], [0]), drawn, read_out, 1.0)
    assert losses.tolist() == pytest.approx([expected])


def test_the_users_side_is_a_softmax_over_the_block() -> None:
    best = best_of_interests(SCORES, 0.0)
    bias = torch.tensor([0.5, -0.5])
    losses = user_side_losses(best, bias, _targets([0, 1, 1], [2, 2, 0]))
    third, first = _log_sum(2.5, 3.5), _log_sum(3.5, 0.5)
    assert losses.tolist() == pytest.approx([third - 2.5, third - 3.5, first - 0.5])


def test_wins_count_the_interest_that_scores_a_target_highest() -> None:
    assert win_counts(SCORES, _targets([0, 0, 1, 1], [0, 1, 0, 2])).tolist() == [2, 2]
    assert win_counts(SCORES, _targets([], [])).tolist() == [0, 0]


def test_equal_wins_balance_at_one_and_a_lone_winner_costs_more() -> None:
    even = torch.tensor([[[8.0, 0.0], [0.0, 8.0]]])
    assert float(balance(even, _targets([0, 0], [0, 1]))) == pytest.approx(1.0, abs=1e-6)
    lone = torch.tensor([[[8.0, 8.0], [0.0, 0.0]]])
    assert float(balance(lone, _targets([0, 0], [0, 1]))) == pytest.approx(2.0, abs=1e-3)


def test_a_tower_that_loses_every_target_is_raised_by_the_balance() -> None:
    scores = torch.tensor([[[2.0, 1.0], [0.0, 0.5]]], requires_grad=True)
    balance(scores, _targets([0, 0], [0, 1])).backward()
    assert scores.grad is not None
    assert bool((scores.grad[0, 0] > 0).all())
    assert bool((scores.grad[0, 1] < 0).all())
