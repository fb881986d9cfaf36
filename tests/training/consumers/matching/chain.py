"""A log whose transitions can be counted by hand."""

from __future__ import annotations

import numpy as np

from training.data.pair_log import PairLog


def chain() -> PairLog:
    """Return two users who meet items 0, 1, 2 in that order, and one who meets 2 after 0."""
    return PairLog(
        user_idx=np.array([0, 1, 2, 0, 1, 2, 0, 1]),
        item_idx=np.array([0, 0, 0, 1, 1, 2, 2, 2]),
        occurred_at=np.arange(8),
        num_users=3,
        num_items=4,
        as_of=9,
    )
