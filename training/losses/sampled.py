"""Compute the losses with drawn negatives that UniMatch compares with: sampled softmax, and BCE of four kinds.

Shape legend: B positives, N drawn candidates shared by the batch.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.arrays import Indices

NegativeKind = Literal["keep_user", "keep_item", "uniform", "shuffled"]
NEGATIVE_KINDS: tuple[NegativeKind, ...] = ("keep_user", "keep_item", "uniform", "shuffled")


def sampled_softmax(positive_B: Tensor, candidates_BN: Tensor) -> Tensor:
    """Return the mean cross-entropy of the positive among itself and drawn items.

    Uniform draws need no correction but a constant; the minimiser is log p(i | u) + c(u).

    Args:
        positive_B: float[B], phi of the positives.
        candidates_BN: float[B, N], phi of each user with the drawn items, less the log of their chance where that is
            not the same for all.
    """
    return (torch.logsumexp(torch.cat([positive_B[:, None], candidates_BN], dim=1), dim=1) - positive_B).mean()


def binary_cross_entropy(positive_B: Tensor, negative_B: Tensor) -> Tensor:
    """Return the mean logistic loss of positives against as many negatives (see `draw_negatives`)."""
    return F.softplus(-positive_B).mean() + F.softplus(negative_B).mean()


def draw_negatives(
    kind: NegativeKind,
    user_idx: Indices,
    item_idx: Indices,
    num_users: int,
    num_items: int,
    rng: np.random.Generator,
) -> tuple[Indices, Indices]:
    """Return one negative (users int64[B], items int64[B]) per positive.

    Args:
        kind: "keep_user" draws a uniform item (minimiser log p(i | u) + log p(u) over p(u), that is, log p(i | u));
            "keep_item" a uniform user (log p(u | i)); "uniform" both (log p(u, i)); "shuffled" pairs each user with
            another positive's item (pointwise mutual information). Each up to a constant.
        user_idx: int64[B] of the positives.
        item_idx: int64[B] of the positives.
        num_users: U, users are drawn from [0, U).
        num_items: I, items are drawn from [0, I).
        rng: Source of the draws.

    Raises:
        ValueError: No such kind.
    """
    size = len(user_idx)
    if kind == "keep_user":
        return user_idx, rng.integers(0, num_items, size)
    if kind == "keep_item":
        return rng.integers(0, num_users, size), item_idx
    if kind == "uniform":
        return rng.integers(0, num_users, size), rng.integers(0, num_items, size)
    if kind == "shuffled":
        return user_idx, item_idx[rng.permutation(size)]
    raise ValueError(f"expected negatives as one of {', '.join(NEGATIVE_KINDS)}, found {kind!r}")
