"""Learn a block of users with several interests from targets, scoring every item as serving does: by its best interest.

The loss is the two-sided cross-entropy of `losses.block` on s(u, i) = max_k <u_k, v_i> + b_i, plus the balance of wins.
The scores by interest are K times the size of that matrix; everything is formed in place of them, since on a CPU passes
over memory and new memory cost more than the products.

Shape legend: B users of the block, K interests, C candidate items, T targets, D width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from training.losses.block import BlockTargets, score_gradients, with_gradients


@dataclass(frozen=True, kw_only=True)
class InterestLoss:
    """How the parts of the loss are weighed.

    Attributes:
        user_side: Weight of the softmax over the block's users, for targeting.
        balance: Weight of the balance of wins between interests; see `losses.interests.balance`.
        softness: Of the maximum over interests, in logits; see `losses.interests.best_of_interests`.
    """

    user_side: float
    balance: float
    softness: float


def interest_cross_entropy(
    users_BKD: Tensor,
    items_CD: Tensor,
    item_bias_C: Tensor,
    user_bias_B: Tensor,
    targets: BlockTargets,
    weighed: InterestLoss,
) -> tuple[Tensor, Tensor]:
    """Return the loss, and int64[K]: how many targets each interest scores highest.

    Args:
        users_BKD: float[B, K, D], scale included.
        items_CD: float[C, D].
        item_bias_C: float[C], added to the scores (a correction for sampled candidates goes in here).
        user_bias_B: float[B], counts for the user side alone.
        targets: The positives, at least one, and the masked pairs.
        weighed: How the parts are weighed.
    """
    with torch.no_grad():
        users_KBD = users_BKD.transpose(0, 1).contiguous()
        scores_KBC = torch.matmul(users_KBD, items_CD.T)
        won_TK = scores_KBC[:, targets.rows_T, targets.columns_T].T.contiguous()
        best_BC, shares_KBC = maximum_in_place(scores_KBC, weighed.softness)
        scores_BC = best_BC.add_(item_bias_C)
        loss, grad, user_grad = score_gradients(scores_BC, user_bias_B, targets, 1.0, weighed.user_side)
        wins, balance, balance_grad_TK = _balance(won_TK)
        parts_KBC = shares_KBC.mul_(grad)
        for part, pushed in zip(parts_KBC, weighed.balance * balance_grad_TK.T, strict=True):
            part.index_put_((targets.rows_T, targets.columns_T), pushed, accumulate=True)
        users_grad = torch.matmul(parts_KBC, items_CD).transpose(0, 1)
        item_grad = parts_KBC.flatten(0, 1).T @ users_KBD.flatten(0, 1)
        whole = loss + weighed.balance * balance
    gradients = (users_grad, item_grad, grad.sum(0), user_grad)
    return with_gradients(whole, (users_BKD, items_CD, item_bias_C, user_bias_B), gradients), wins


def maximum_in_place(scores_KBC: Tensor, softness: float) -> tuple[Tensor, Tensor]:
    """Return the maximum over interests, float[B, C], and what of its gradient falls to each, float[K, B, C].

    The shares of a pair sum to 1. Of equal scores the first takes all, unless the maximum is soft. The shares take the
    place of `scores_KBC`, which is lost; all is arithmetic on floats, which is many times quicker than on masks.
    """
    if softness > 0 and len(scores_KBC) > 1:
        return _soft_in_place(scores_KBC, softness)
    best_BC = scores_KBC[0].clone()
    for later_BC in scores_KBC[1:]:
        top_BC = torch.maximum(best_BC, later_BC)
        later_BC.gt_(best_BC)
        best_BC = top_BC
    left_BC = scores_KBC[0].fill_(1.0)
    for later_BC in reversed(scores_KBC[1:].unbind()):
        left_BC.sub_(later_BC.mul_(left_BC))
    return best_BC, scores_KBC


def _soft_in_place(scores_KBC: Tensor, softness: float) -> tuple[Tensor, Tensor]:
    top_BC = scores_KBC.amax(dim=0)
    shares_KBC = scores_KBC.sub_(top_BC).mul_(1 / softness).exp_()
    total_BC = shares_KBC.sum(dim=0)
    shares_KBC.div_(total_BC)
    best_BC = top_BC.add_(total_BC.log_().sub_(math.log(len(scores_KBC))), alpha=softness)
    return best_BC, shares_KBC


def _balance(won_TK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return wins int64[K], the balance K sum_k f_k p_k and its gradient float[T, K], f_k taken as a constant."""
    num_targets, num = won_TK.shape
    wins_K = torch.bincount(won_TK.argmax(dim=1), minlength=num)
    factor_K = num * wins_K / max(num_targets, 1)
    soft_TK = torch.softmax(won_TK, dim=1)
    mean_T = soft_TK @ factor_K
    grad_TK = soft_TK * (factor_K - mean_T[:, None]) / max(num_targets, 1)
    return wins_K, mean_T.mean(), grad_TK
