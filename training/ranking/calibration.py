"""Weigh the parts of a consumer's score when serving: popularity and activity as counts tell them, and sharpness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from training.arrays import Doubles, Floats
from training.data.pair_log import PairLog

COUNT_OFFSET = 0.5
ITEM_SHARES = (0.25, 0.1, 0.05, 0.02, 0.01)
"""Newest shares of rows that tell how popular an item is by now."""
USER_SHARES = (0.25, 0.1, 0.05)
"""Newest shares of rows that tell how active a user is by now."""


def item_features(pairs: PairLog) -> Doubles:
    """Return float64[I, 6]: log counts of each item over the whole log, then over its newest `ITEM_SHARES`."""
    return np.column_stack([np.log(pairs.item_counts(share) + COUNT_OFFSET) for share in (1.0, *ITEM_SHARES)])


def user_features(pairs: PairLog) -> Doubles:
    """Return float64[U, 5]: log counts of each user as of items, then minus the log of days since the last row."""
    counts = [np.log(pairs.user_counts(share) + COUNT_OFFSET) for share in (1.0, *USER_SHARES)]
    return np.column_stack([*counts, -np.log1p(pairs.user_age_days())])


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How the parts of phi = gamma (a_u <u, v> / tau + c p_ui) + b_u + b_i are weighed when serving, by validation.

    b_u is the same for every item of a user, so it orders users alone, as b_i orders items alone: each is fitted to
    its own task, and gamma to recommendation. a_u says how sure the direction of a user is, p_ui is the chance that i
    follows u's newest items.

    Attributes:
        gamma: Weight of both inner products.
        item_weights: Of the columns of `item_features`; together they forecast how popular an item will be.
        learned_weight: Weight of what training added to the item terms.
        user_weights: Of the columns of `user_features`; together they forecast how active a user will be.
        activity_power: Power of a user's number of items, over the mean user's, that is a_u; 0 takes all for as sure.
        successor_weight: c, weight of the chance that an item follows; 0 leaves it out.
        z_share: Weight of the direction that the space's vector predicts, beside the history's direction.
    """

    gamma: float = 0.7
    item_weights: tuple[float, ...] = (1.0,) + (0.0,) * len(ITEM_SHARES)
    learned_weight: float = 1.0
    user_weights: tuple[float, ...] = (0.0,) * (len(USER_SHARES) + 2)
    activity_power: float = 0.0
    successor_weight: float = 0.0
    z_share: float = 0.0

    def __post_init__(self) -> None:
        # JSON knows lists alone, and a calibration that was saved equals the one that is loaded.
        for name in ("item_weights", "user_weights"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def item_terms(self, pairs: PairLog, learned_I: Doubles) -> Doubles:
        """Return b_i, float64[I], from the counts of a log and what training added."""
        popularity = item_features(pairs) @ np.array(self.item_weights)
        return np.asarray(popularity + self.learned_weight * learned_I, np.float64)

    def user_terms(self, pairs: PairLog) -> Doubles:
        """Return b_u, float64[U], from a log."""
        return np.asarray(user_features(pairs) @ np.array(self.user_weights), np.float64)

    def user_lengths(self, pairs: PairLog) -> Floats:
        """Return a_u, float32[U], from a log; a user without items is as sure as with one."""
        counts = np.maximum(pairs.user_counts(), 1)
        return np.asarray((counts / max(float(counts.mean()), 1.0)) ** self.activity_power, np.float32)


def learned_terms(item_bias_I: torch.Tensor, pairs: PairLog) -> Doubles:
    """Return float64[I]: what training added to log popularity in trained item terms, float32[I]."""
    learned = item_bias_I.detach().numpy().astype(np.float64)
    return np.asarray(learned - np.log(pairs.item_counts() + COUNT_OFFSET), np.float64)
