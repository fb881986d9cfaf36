"""Compute the bidirectional bias-corrected NCE family of UniMatch (arXiv 2307.09989) under one code path.

Shape legend: B positives of a batch; scores_BB[j, k] is phi(u_j, i_k), so the diagonal holds the positives.

Accidental hits (a user's other positives among the columns) are *not* masked: the correction by log p already counts
them, and masking moves the minimiser away from log p(u, i).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Switches:
    """The four switches: L = alpha * row + beta * column, each side corrected by log p or not.

    Attributes:
        alpha: Weight of the softmax over items (recommendation).
        beta: Weight of the softmax over users (targeting).
        delta_items: 1 subtracts log p(i) from the row scores, 0 does not.
        delta_users: 1 subtracts log p(u) from the column scores, 0 does not.
    """

    alpha: float
    beta: float
    delta_items: float
    delta_users: float


INFO_NCE = Switches(1, 0, 0, 0)
"""Minimiser: pointwise mutual information + c(u)."""
SIM_CLR = Switches(1, 1, 0, 0)
"""Minimiser: pointwise mutual information + const."""
ROW_BCNCE = Switches(1, 0, 1, 0)
"""Minimiser: log p(i | u) + c(u)."""
COLUMN_BCNCE = Switches(0, 1, 0, 1)
"""Minimiser: log p(u | i) + d(i)."""
BBCNCE = Switches(1, 1, 1, 1)
"""Minimiser: log p(u, i) + const, so that sorting either side is right."""
LOSSES = {
    "info_nce": INFO_NCE,
    "sim_clr": SIM_CLR,
    "row_bcnce": ROW_BCNCE,
    "column_bcnce": COLUMN_BCNCE,
    "bbcnce": BBCNCE,
}


def bidirectional_nce(
    scores_BB: Tensor, log_p_items_B: Tensor, log_p_users_B: Tensor, switches: Switches = BBCNCE
) -> Tensor:
    """Return the batch mean of alpha * row + beta * column cross-entropy.

    Args:
        scores_BB: float[B, B], phi of every user with every item of the batch; positives on the diagonal.
        log_p_items_B: float[B], log probability of each column's item under the sampling in force.
        log_p_users_B: float[B], the same of each row's user.
        switches: Which side counts and which is corrected.
    """
    loss = scores_BB.new_zeros(())
    if switches.alpha:
        row = torch.log_softmax(scores_BB - switches.delta_items * log_p_items_B[None, :], dim=1)
        loss = loss - switches.alpha * row.diagonal().mean()
    if switches.beta:
        column = torch.log_softmax(scores_BB - switches.delta_users * log_p_users_B[:, None], dim=0)
        loss = loss - switches.beta * column.diagonal().mean()
    return loss
