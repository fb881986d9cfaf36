"""Rank items for users who are known by attributes alone: popularity, popularity per group, and ridge regression.

Shape legend: U training users, B new users, I items, F attribute columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from training.arrays import Floats
from training.evaluation.peers.factors import als
from training.evaluation.peers.linear import ease
from training.evaluation.peers.log import TrainingLog

Base = Literal["ease", "als"]


def popularity_scores(log: TrainingLog, num_new: int) -> Floats:
    """Return float32[B, I]: the share of users who interacted with each item, the same for everyone."""
    return np.repeat(_shares(log)[None], num_new, axis=0)


def group_popularity_scores(
    log: TrainingLog, groups: Sequence[str], new_groups: Sequence[str], shrink: float
) -> Floats:
    """Return float32[B, I]: the share of a new user's group who interacted with each item, shrunk to everyone's.

    Args:
        log: The training log.
        groups: Group of each training user.
        new_groups: Group of each new user; an unknown one gets everyone's shares.
        shrink: Users that everyone's share counts as.
    """
    everyone, matrix = _shares(log), log.matrix
    of_user, of_new = np.asarray(groups), np.asarray(new_groups)
    scores = np.repeat(everyone[None], len(of_new), axis=0)
    for name in np.unique(of_new):
        members = np.flatnonzero(of_user == name)
        num_interacted = np.asarray(matrix[members].sum(axis=0)).ravel()
        scores[of_new == name] = (num_interacted + shrink * everyone) / (len(members) + shrink)
    return scores


def ridge_scores(
    log: TrainingLog, attributes_UF: Floats, new_BF: Floats, *, base: Base, strength: float, seed: int = 0
) -> Floats:
    """Return float32[B, I]: ridge regression from attributes to what a fitted peer scores the training users.

    Args:
        log: The training log.
        attributes_UF: float32[U, F], columns of 0 and 1; an intercept is added, and not held back.
        new_BF: float32[B, F].
        base: Whose scores: EASE with ridge 500, or ALS with 32 factors.
        strength: Of the regression.
        seed: Of ALS.
    """
    from sklearn.linear_model import Ridge

    scores_UI = log.once(("scores", base, seed), lambda: _base_scores(log, base, seed))
    fitted = Ridge(alpha=strength, solver="cholesky").fit(attributes_UF.astype(np.float64), scores_UI)
    return np.asarray(fitted.predict(new_BF.astype(np.float64)), np.float32)


def _base_scores(log: TrainingLog, base: Base, seed: int) -> Floats:
    if base == "ease":
        scorer = ease(log, ridge=500.0)
    else:
        scorer = als(log, factors=32, alpha=1.0, regularisation=0.05, seed=seed)
    return scorer.item_scores(np.arange(log.num_users))


def _shares(log: TrainingLog) -> Floats:
    return (log.item_counts / max(log.num_users, 1)).astype(np.float32)
