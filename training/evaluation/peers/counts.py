"""Rank by counting: popularity and activity, their recent forms, and first-order transitions between items."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.stats import rankdata

from training.arrays import Floats
from training.evaluation.metrics import Scorer
from training.evaluation.peers.log import OuterScorer, ProductScorer, TrainingLog

POPULARITY_TIE_BREAK = 1e-6


def popularity(log: TrainingLog) -> Scorer:
    """Return items by number of interactions, users by number of interactions."""
    return OuterScorer(_order(log.item_counts), _order(log.user_counts))


def recent_popularity(log: TrainingLog, *, share: float) -> Scorer:
    """Return items by interactions in the last `share` of the log, users by the time of their last one."""
    tail = log.item_idx[len(log.item_idx) - int(len(log.item_idx) * share) :]
    last_at = np.zeros(log.num_users, np.int64)
    np.maximum.at(last_at, log.user_idx, log.occurred_at)
    return OuterScorer(_order(np.bincount(tail, minlength=log.num_items)), _order(rankdata(last_at)))


def _order(values: np.ndarray) -> Floats:
    return rankdata(values, method="ordinal").astype(np.float32)


def markov(log: TrainingLog, *, window: int, last: int, shrink: float) -> Scorer:
    """Return shrunk transition shares to later items, summed over a user's last few items, newest weighing most.

    Args:
        log: The training log.
        window: A pair at distance g <= window in a user's order counts 1/g.
        last: How many of the user's last items vote, each with weight 1 / (1 + age).
        shrink: Pseudo-count in the denominator of an item's transition shares.
    """
    order = np.argsort(log.user_idx, kind="stable")
    users, items = log.user_idx[order], log.item_idx[order]
    transitions = log.once(("transitions", window), lambda: _transitions(users, items, log.num_items, window))
    totals = np.asarray(transitions.sum(axis=1)).ravel()
    shares = sp.csr_matrix(sp.diags(1.0 / np.maximum(totals + shrink, 1e-12)) @ transitions)
    ends = np.cumsum(log.user_counts)
    age = ends[users] - 1 - np.arange(len(users))
    votes = age < last
    weights = sp.csr_matrix(
        ((1.0 / (1 + age[votes])).astype(np.float32), (users[votes], items[votes])), (log.num_users, log.num_items)
    )
    counts = log.item_counts
    return ProductScorer(weights, shares, (POPULARITY_TIE_BREAK * counts / counts.max()).astype(np.float32))


def _transitions(users: np.ndarray, items: np.ndarray, num_items: int, window: int) -> sp.csr_matrix:
    total = sp.csr_array((num_items, num_items), dtype=np.float32)
    for gap in range(1, window + 1):
        same = users[gap:] == users[:-gap]
        weight = np.full(int(same.sum()), 1 / gap, np.float32)
        total = total + sp.csr_array((weight, (items[:-gap][same], items[gap:][same])), (num_items, num_items))
    return sp.csr_matrix(total)
