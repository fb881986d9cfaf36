"""Compute row and column cross-entropy of a block of users against the catalogue in three matrix products.

The row side is a softmax over every candidate item, the column side over the users of the block. Both share one score
matrix; its gradient is formed in place, since on a CPU copies of that matrix cost more than the products.

Shape legend: B users of the block, C candidate items, T targets, M masked pairs, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class BlockTargets:
    """Which pairs of the block are positives, how much each counts, and which pairs are out of play.

    Attributes:
        rows_T: int64[T], place of the user in the block.
        columns_T: int64[T], place of the item among the candidates.
        weights_T: float[T], not negative; their sum is the mean's denominator.
        masked_rows_M: int64[M], users of pairs already shown to the model (serving removes them too).
        masked_columns_M: int64[M], their items.
    """

    rows_T: Tensor
    columns_T: Tensor
    weights_T: Tensor
    masked_rows_M: Tensor
    masked_columns_M: Tensor


def block_cross_entropy(
    users_BD: Tensor,
    items_CD: Tensor,
    item_bias_C: Tensor,
    user_bias_B: Tensor,
    targets: BlockTargets,
    alpha: float = 1.0,
    beta: float = 1.0,
) -> Tensor:
    """Return alpha * row + beta * column cross-entropy, the weighted mean over targets.

    Args:
        users_BD: float[B, D], scale included.
        items_CD: float[C, D].
        item_bias_C: float[C], added to the scores (a correction for sampled candidates goes in here).
        user_bias_B: float[B], counts on the column side alone, since a row's softmax cancels it.
        targets: The positives and the masked pairs; no target gives zero.
        alpha: Weight of the softmax over candidates.
        beta: Weight of the softmax over the block's users.
    """
    with torch.no_grad():
        scores = torch.addmm(item_bias_C, users_BD, items_CD.T)
        loss, grad, user_grad = score_gradients(scores, user_bias_B, targets, alpha, beta)
        gradients = (grad @ items_CD, grad.T @ users_BD, grad.sum(0), user_grad)
    return with_gradients(loss, (users_BD, items_CD, item_bias_C, user_bias_B), gradients)


def with_gradients(loss: Tensor, inputs: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """Return a loss computed without a graph as a function of its inputs, with the gradients formed on the way.

    Args:
        loss: A scalar.
        inputs: What it depends on.
        gradients: One per input, of its shape.
    """
    attached: Tensor = _Precomputed.apply(loss, tuple(gradients), *inputs)  # type: ignore[no-untyped-call]
    return attached


class _Precomputed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loss: Tensor, gradients: tuple[Tensor, ...], *inputs: Tensor) -> Tensor:
        ctx.save_for_backward(*gradients)
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        return (None, None, *(outer[0] * gradient for gradient in ctx.saved_tensors))


def score_gradients(
    scores_BC: Tensor, user_bias_B: Tensor, targets: BlockTargets, alpha: float, beta: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return alpha * row + beta * column cross-entropy and its gradients by scores, float[B, C], and by user terms.

    The gradient is formed in place of `scores_BC`, which is lost.

    Args:
        scores_BC: float[B, C], item terms included.
        user_bias_B: As in `block_cross_entropy`, like the rest.
        targets: The positives and the masked pairs.
        alpha: Weight of the softmax over candidates.
        beta: Weight of the softmax over the block's users.
    """
    scores_BC[targets.masked_rows_M, targets.masked_columns_M] = -1e9
    positive = scores_BC[targets.rows_T, targets.columns_T]
    weights = targets.weights_T / targets.weights_T.sum().clamp(min=1e-12)
    column = _column_side(scores_BC, user_bias_B, targets, weights) if beta else None
    row_loss = _row_side_in_place(scores_BC, targets, weights, positive)
    grad = scores_BC if alpha == 1 else scores_BC.mul_(alpha)
    grad.index_put_((targets.rows_T, targets.columns_T), -alpha * weights, accumulate=True)
    if column is None:
        return alpha * row_loss, grad, torch.zeros_like(user_bias_B)
    column_loss, column_grad, columns = column
    grad.index_add_(1, columns, column_grad, alpha=beta)
    return alpha * row_loss + beta * column_loss, grad, beta * column_grad.sum(1)


def _column_side(
    scores: Tensor, user_bias: Tensor, targets: BlockTargets, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    columns, place = torch.unique(targets.columns_T, return_inverse=True)
    part = scores.index_select(1, columns).add_(user_bias[:, None])
    log_sum = torch.logsumexp(part, dim=0)
    loss = (weights * (log_sum[place] - part[targets.rows_T, place])).sum()
    per_column = torch.zeros(len(columns)).index_add_(0, place, weights)
    grad = part.sub_(log_sum).exp_().mul_(per_column)
    grad.index_put_((targets.rows_T, place), -weights, accumulate=True)
    return loss, grad, columns


def _row_side_in_place(scores: Tensor, targets: BlockTargets, weights: Tensor, positive: Tensor) -> Tensor:
    """Return the row loss and leave the softmax times each row's weight in `scores`."""
    top = scores.amax(dim=1, keepdim=True)
    norm = scores.sub_(top).exp_().sum(dim=1)
    log_sum = norm.log() + top[:, 0]
    per_row = torch.zeros(len(scores)).index_add_(0, targets.rows_T, weights)
    scores.mul_((per_row / norm)[:, None])
    return (weights * (log_sum[targets.rows_T] - positive)).sum()
