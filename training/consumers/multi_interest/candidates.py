"""Draw the candidates of a block of users from a mixture of popularity powers, and correct for how they were drawn.

Shape legend: I items, C candidates, T targets.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from training.arrays import Doubles
from training.data.pair_log import PairLog
from training.ranking.blocks import Block

Mixture = tuple[tuple[float, float], ...]
"""Powers of an item's count with their weights: ((0, 1),) draws uniformly, ((0.75, 1),) by popularity."""
UNIFORM: Mixture = ((0.0, 1.0),)


def item_shares(pairs: PairLog, mixture: Mixture) -> Doubles:
    """Return float64[I], summing to 1: how likely one draw is each item.

    Args:
        pairs: Training pairs, whose counts are raised to the powers.
        mixture: Powers and weights; the weights need not sum to 1.
    """
    counts = pairs.item_counts()
    total = np.zeros(len(counts))
    for power, weight in mixture:
        raised = counts**power if power else np.ones(len(counts))
        total += weight * raised / max(raised.sum(), 1e-12)
    return np.asarray(total / total.sum(), np.float64)


def with_candidates(block: Block, shares_I: Doubles, num: int, rng: np.random.Generator) -> Block:
    """Return the block with drawn candidates, its targets among them, and the log probability that each is in.

    Args:
        block: A block over the whole catalogue.
        shares_I: float64[I], chance of each item in one draw.
        num: Draws, with replacement; an item that is drawn twice is one candidate.
        rng: Source of the draws.
    """
    drawn = rng.choice(len(shares_I), num, p=shares_I)
    candidates = np.union1d(drawn, block.target_item_idx)
    # an item is in when drawn, or when it is some user's target; the latter at its observed rate in the block
    rate = np.bincount(np.searchsorted(candidates, block.target_item_idx), minlength=len(candidates))
    missed = np.exp(num * np.log1p(-np.minimum(shares_I[candidates], 1 - 1e-12)) - rate)
    return replace(block, candidates=candidates, log_inclusion=np.log1p(-missed).astype(np.float32))
