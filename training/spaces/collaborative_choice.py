"""Choose how collaborative vectors are learned on the end of the training period, never on a test."""

from __future__ import annotations

import numpy as np

from training.spaces.collaborative import (
    METHODS,
    CollaborativeConfig,
    FloatArray,
    IndexedLog,
    IntArray,
    learn_collaborative,
)

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


def _pairwise_auc(
    past: IndexedLog, vectors: FloatArray, users: IntArray, items: IntArray, negatives: IntArray
) -> float:
    """Return the share of popularity-matched, unmet negatives [P, N] that score below their positive, ties half."""
    means = np.zeros((past.num_users, vectors.shape[1]), np.float64)
    np.add.at(means, past.user_idx, vectors[past.item_idx])
    taste = means[users]
    positive = (taste * vectors[items]).sum(axis=1)[:, None]
    negative = np.einsum("pd,pnd->pn", taste, vectors[negatives])
    met = np.unique(past.user_idx * past.num_items + past.item_idx)
    valid = (negatives != items[:, None]) & ~np.isin(users[:, None] * past.num_items + negatives, met)
    wins = (positive > negative) + 0.5 * (positive == negative)
    return float(wins[valid].mean()) if valid.any() else 0.5
