"""Score items by several vectors of a user, and learn from targets: every item by its best interest, or ComiRec's way.

ComiRec's public code scores the negatives of a target by the one interest that the *target* selects, while serving
takes the maximum over interests: a negative that another interest ranks high is never pushed down. "max" scores all
items as serving does.

Shape legend: B users, K interests, C candidate items, T targets, M masked pairs.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from training.losses.block import BlockTargets

ReadOut = Literal["max", "positive"]
READ_OUTS: tuple[ReadOut, ...] = ("max", "positive")


def best_of_interests(scores_BKC: Tensor, softness: float) -> Tensor:
    """Return float[B, C]: the maximum over interests, or at a softness s > 0 s * log mean exp(score / s).

    The soft form lets every interest learn from every target; it tends to the maximum as `softness` tends to zero.
    """
    if softness <= 0:
        return scores_BKC.max(dim=1).values
    return softness * (torch.logsumexp(scores_BKC / softness, dim=1) - math.log(scores_BKC.shape[1]))


def target_losses(scores_BKC: Tensor, targets: BlockTargets, read_out: ReadOut, softness: float) -> Tensor:
    """Return float[T]: the cross-entropy of each target among all candidates that its user has not been shown.

    Args:
        scores_BKC: float[B, K, C], logits with every bias and correction for sampled candidates in them; masked pairs
            at minus a large number.
        targets: The positives.
        read_out: "max" scores targets and all other items by their own best interest; "positive" scores all by the
            interest that is best for the target.
        softness: Of the maximum, for "max".
    """
    rows, columns = targets.rows_T, targets.columns_T
    if read_out == "max":
        scores_BC = best_of_interests(scores_BKC, softness)
        return torch.logsumexp(scores_BC, dim=1)[rows] - scores_BC[rows, columns]
    won_TK = scores_BKC[rows, :, columns]
    chosen = won_TK.argmax(dim=1)
    return torch.logsumexp(scores_BKC, dim=2)[rows, chosen] - won_TK.gather(1, chosen[:, None])[:, 0]


def hinge_losses(
    scores_BKC: Tensor, targets: BlockTargets, negatives_N: Tensor, read_out: ReadOut, margin: float
) -> Tensor:
    """Return float[T]: the mean over negatives of [margin - s+ + s-]_+.

    Args:
        scores_BKC: float[B, K, C], as in `target_losses`.
        targets: The positives.
        negatives_N: int64[N], columns that were drawn as negatives for the whole block.
        read_out: As in `target_losses`.
        margin: By how much a target should lead.
    """
    rows, columns = targets.rows_T, targets.columns_T
    if read_out == "max":
        scores_BC = best_of_interests(scores_BKC, 0.0)
        positive, negative = scores_BC[rows, columns], scores_BC[:, negatives_N][rows]
    else:
        won_TK = scores_BKC[rows, :, columns]
        chosen = won_TK.argmax(dim=1)
        positive = won_TK.gather(1, chosen[:, None])[:, 0]
        negative = scores_BKC[:, :, negatives_N][rows, chosen]
    return (margin - positive[:, None] + negative).clamp(min=0).mean(dim=1)


def user_side_losses(scores_BC: Tensor, user_bias_B: Tensor, targets: BlockTargets) -> Tensor:
    """Return float[T]: the cross-entropy of each target's user among the users of the block, for targeting."""
    columns, place = torch.unique(targets.columns_T, return_inverse=True)
    part = scores_BC[:, columns] + user_bias_B[:, None]
    return torch.logsumexp(part, dim=0)[place] - part[targets.rows_T, place]


def balance(scores_BKC: Tensor, targets: BlockTargets) -> Tensor:
    """Return K * sum_k f_k p_k, at least about 1: f_k the share of targets that k wins, p_k its mean soft share.

    The load balancing of switch transformers (arXiv 2101.03961): its gradient lowers the shares of those that win much
    and raises the others, so that a tower that loses every target still learns from them.
    """
    won_TK = scores_BKC[targets.rows_T, :, targets.columns_T]
    num = won_TK.shape[1]
    share_K = torch.bincount(won_TK.argmax(dim=1), minlength=num) / max(len(won_TK), 1)
    return num * (share_K * torch.softmax(won_TK, dim=1).mean(dim=0)).sum()


def win_counts(scores_BKC: Tensor, targets: BlockTargets) -> Tensor:
    """Return int64[K]: how many targets each interest scores highest."""
    winners = scores_BKC[targets.rows_T, :, targets.columns_T].argmax(dim=1)
    return torch.bincount(winners, minlength=scores_BKC.shape[1])
