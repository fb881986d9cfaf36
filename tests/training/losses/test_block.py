from __future__ import annotations

import pytest
import torch

from training.losses.block import BlockTargets, block_cross_entropy


def _targets(weights: list[float] | None = None) -> BlockTargets:
    return BlockTargets(
        rows_T=torch.tensor([0, 0, 2]),
        columns_T=torch.tensor([1, 4, 1]),
        weights_T=torch.tensor(weights or [1.0, 0.5, 2.0]),
        masked_rows_M=torch.tensor([0, 1]),
        masked_columns_M=torch.tensor([2, 3]),
    )


def _inputs() -> list[torch.Tensor]:
    torch.manual_seed(0)
    shapes = [(3, 4), (6, 4), (6,), (3,)]
    return [torch.randn(shape, dtype=torch.float32).requires_grad_() for shape in shapes]


def _plain(
    users: torch.Tensor, items: torch.Tensor, bias: torch.Tensor, user_bias: torch.Tensor, alpha: float, beta: float
) -> torch.Tensor:
    """The same by log-softmax and autograd."""
    targets = _targets()
    mask = torch.zeros(3, 6)
    mask[targets.masked_rows_M, targets.masked_columns_M] = -1e9
    scores = users @ items.T + bias + mask
    row = torch.log_softmax(scores, 1)[targets.rows_T, targets.columns_T]
    column = torch.log_softmax(scores + user_bias[:, None], 0)[targets.rows_T, targets.columns_T]
    return -(targets.weights_T * (alpha * row + beta * column)).sum() / targets.weights_T.sum()


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.3, 2.0)])
def test_value_and_gradients_are_those_of_two_log_softmaxes(alpha: float, beta: float) -> None:
    ours, plain = _inputs(), _inputs()
    loss = block_cross_entropy(*ours, _targets(), alpha, beta)
    expected = _plain(*plain, alpha, beta)
    torch.testing.assert_close(loss, expected)
    (3 * loss).backward()
    (3 * expected).backward()
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a.grad, torch.zeros_like(a) if b.grad is None else b.grad)


def test_scaling_all_weights_changes_nothing() -> None:
    inputs = _inputs()
    once, twice = _targets(), _targets([2.0, 1.0, 4.0])
    torch.testing.assert_close(block_cross_entropy(*inputs, once), block_cross_entropy(*inputs, twice))


def test_user_term_moves_the_column_side_alone() -> None:
    users, items, bias, user_bias = _inputs()
    raised = user_bias + torch.tensor([5.0, 0.0, 0.0])
    row = [block_cross_entropy(users, items, bias, term, _targets(), 1.0, 0.0) for term in (user_bias, raised)]
    column = [block_cross_entropy(users, items, bias, term, _targets(), 0.0, 1.0) for term in (user_bias, raised)]
    torch.testing.assert_close(row[0], row[1])
    assert not torch.allclose(column[0], column[1])


def test_a_masked_pair_has_no_say() -> None:
    users, items, bias, user_bias = _inputs()
    louder = items.detach().clone()
    louder[2] = 50 * users.detach()[0]
    masked = [
        block_cross_entropy(users[:1], table, bias, user_bias[:1], _one_row(), 1.0, 0.0) for table in (items, louder)
    ]
    torch.testing.assert_close(masked[0], masked[1])


def _one_row() -> BlockTargets:
    return BlockTargets(
        rows_T=torch.tensor([0]),
        columns_T=torch.tensor([1]),
        weights_T=torch.tensor([1.0]),
        masked_rows_M=torch.tensor([0]),
        masked_columns_M=torch.tensor([2]),
    )


def test_extreme_scores_stay_finite() -> None:
    users, items, bias, user_bias = (value.detach() * 300 for value in _inputs())
    users.requires_grad_()
    block_cross_entropy(users, items, bias, user_bias, _targets()).backward()
    assert bool(torch.isfinite(users.grad).all())
