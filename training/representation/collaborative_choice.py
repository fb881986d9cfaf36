"""Choose how collaborative vectors are learned on the end of the training period, never on a test."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from training.arrays import Doubles, Floats, Indices
from training.representation.collaborative import METHODS, CollaborativeConfig, IndexedLog, learn_collaborative

HELD_OUT_SHARE = 0.1
MAX_PAIRS = 20_000
MIN_PAIRS = 50


def choose_method(log: IndexedLog, config: CollaborativeConfig, width: int, seed: int) -> tuple[str, dict[str, float]]:
    """Return the method with the best held-out AUC and every method's AUC.

    The last tenth of interactions is held out; users are the mean of their earlier items. With fewer than
    `MIN_PAIRS` usable held-out pairs nothing can be told apart and the first method is taken.
    """
    if config.method != "auto":
        return config.method, {}
    cut = int(len(log.user_idx) * (1 - HELD_OUT_SHARE))
    past, users, items = log.take(slice(0, cut)), log.user_idx[cut:], log.item_idx[cut:]
    known = np.isin(users, past.user_idx) & np.isin(items, past.item_idx)
    users, items = users[known][:MAX_PAIRS], items[known][:MAX_PAIRS]
    if len(users) < MIN_PAIRS:
        return METHODS[0], {}
    negatives = np.random.default_rng(seed).choice(past.item_idx, size=(len(items), 5))
    scores = {}
    for method in METHODS:
        vectors = learn_collaborative(past, config, method, width, seed)
        scores[method] = round(_pairwise_auc(past, vectors, users, items, negatives), 6)
    return max(METHODS, key=lambda method: scores[method]), scores


def _pairwise_auc(past: IndexedLog, vectors: Floats, users: Indices, items: Indices, negatives: Indices) -> float:
    """Return the share of popularity-matched, unmet negatives [P, N] that score below their positive, ties half."""
    asked, position = np.unique(users, return_inverse=True)
    taste = _sums_of_items(past, vectors, asked)[position]
    positive = (taste * vectors[items]).sum(axis=1)[:, None]
    negative = np.einsum("pd,pnd->pn", taste, vectors[negatives])
    keys = users[:, None] * past.num_items + negatives
    known = np.isin(keys, past.user_idx * past.num_items + past.item_idx)
    valid = (negatives != items[:, None]) & ~known
    wins = (positive > negative) + 0.5 * (positive == negative)
    return float(wins[valid].mean()) if valid.any() else 0.5


def _sums_of_items(past: IndexedLog, vectors: Floats, asked: Indices) -> Doubles:
    """Return the sum of the item vectors of each of some users, ascending: float64 [len(asked), D].

    Summands keep the log's order, so that a sparse product has the bits of plain additions one after another.
    """
    rows = np.flatnonzero(np.isin(past.user_idx, asked))
    rows = rows[np.argsort(past.user_idx[rows], kind="stable")]
    bounds = np.searchsorted(past.user_idx[rows], np.append(asked, past.num_users))
    ones = np.ones(len(rows))
    history = sp.csr_array((ones, past.item_idx[rows], bounds), shape=(len(asked), past.num_items))
    return np.asarray(history @ vectors.astype(np.float64))
