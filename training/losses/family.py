"""Name every loss over positive pairs that UniMatch (arXiv 2307.09989) compares, with what its minimiser holds."""

from __future__ import annotations

from dataclasses import dataclass

from training.losses.nce import BBCNCE, COLUMN_BCNCE, INFO_NCE, ROW_BCNCE, SIM_CLR, Switches
from training.losses.sampled import NegativeKind


@dataclass(frozen=True, kw_only=True)
class PairLoss:
    """One member: in-batch softmax by `switches`, else drawn negatives, else sampled softmax.

    Every minimiser is pointwise mutual information plus the logarithms named here, up to a constant.

    Attributes:
        switches: Of the bidirectional NCE; None where negatives are drawn.
        negatives: How binary cross-entropy draws; None where it does not.
        holds_items: Whether the minimiser holds log p(i): it ranks items for a user by p(i | u).
        holds_users: Whether it holds log p(u): it ranks users for an item by p(u | i).
    """

    switches: Switches | None = None
    negatives: NegativeKind | None = None
    holds_items: bool = False
    holds_users: bool = False


PAIR_LOSSES = {
    "info_nce": PairLoss(switches=INFO_NCE),
    "sim_clr": PairLoss(switches=SIM_CLR),
    "row_bcnce": PairLoss(switches=ROW_BCNCE, holds_items=True),
    "column_bcnce": PairLoss(switches=COLUMN_BCNCE, holds_users=True),
    "bbcnce": PairLoss(switches=BBCNCE, holds_items=True, holds_users=True),
    "sampled_softmax": PairLoss(holds_items=True),
    "bce_keep_user": PairLoss(negatives="keep_user", holds_items=True),
    "bce_keep_item": PairLoss(negatives="keep_item", holds_users=True),
    "bce_uniform": PairLoss(negatives="uniform", holds_items=True, holds_users=True),
    "bce_shuffled": PairLoss(negatives="shuffled"),
}
"""By the name that configurations and tables use."""
