"""Choose on a validation cut how the parts of the matching score are weighed, task by task.

A value replaces the one in force only when its gain exceeds half a standard error of the paired differences, so that
a small validation set moves little away from the defaults.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from training.data.pair_log import PairLog
from training.models.matching import Calibration
from training.search.matching_validation import Side

_log = logging.getLogger(__name__)
Doubles = npt.NDArray[np.float64]
Judge = Callable[[Calibration], Doubles]
GAMMAS = (0.2, 0.3, 0.5, 0.7, 1.0, 1.4)
RECENT_SHARES = (0.01, 0.02, 0.05, 0.1, 0.25)
RECENT_WEIGHTS = (0.3, 0.6, 1.0)
LEARNED_WEIGHTS = (0.0, 0.5, 1.0)
ACTIVITIES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
RECENCIES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.3, 2.0)
REQUIRED_GAIN = 0.5
"""Standard errors by which a value must beat the one in force."""


def calibrate(
    start: Calibration, pairs: PairLog, learned_I: Doubles, recommend: Side, target: Side
) -> tuple[Calibration, dict[str, float]]:
    """Return the calibration chosen on both sides, and its recall and NDCG.

    Args:
        start: Where the search begins.
        pairs: What was known at the cut.
        learned_I: float64[I], what training added to the item terms.
        recommend: Users of the cut with all items.
        target: Items of the cut with all users.
    """

    def judge_items(trial: Calibration) -> Doubles:
        return recommend.judge(trial.gamma, trial.item_terms(pairs, learned_I))

    def judge_users(trial: Calibration) -> Doubles:
        return target.judge(trial.gamma, trial.user_terms(pairs))

    chosen = start
    for _ in range(2):
        chosen = best_of(chosen, ({"gamma": g} for g in GAMMAS), judge_items)
        recents = ({"recent_share": s, "recent_weight": w} for s in RECENT_SHARES for w in RECENT_WEIGHTS)
        chosen = best_of(chosen, recents, judge_items)
        chosen = best_of(chosen, ({"learned_weight": w} for w in LEARNED_WEIGHTS), judge_items)
    for _ in range(2):
        chosen = best_of(chosen, ({"recency": r} for r in RECENCIES), judge_users)
        chosen = best_of(chosen, ({"activity": a} for a in ACTIVITIES), judge_users)
    return chosen, summary(judge_items(chosen), judge_users(chosen))


def best_of(current: Calibration, changes: Iterable[dict[str, float]], judge: Judge) -> Calibration:
    """Return `current` with the change that gains most, or `current` when none gains enough.

    The gain is the mean of the relative changes of recall and NDCG.
    """
    reference = judge(current)
    means = np.maximum(reference.mean(axis=0), 1e-9) if len(reference) else np.ones(2)
    best, best_gain = current, 0.0
    for change in changes:
        trial = replace(current, **change)
        gains = ((judge(trial) - reference) / means).mean(axis=1) if trial != current else np.zeros(0)
        if len(gains) and gains.mean() > max(best_gain, REQUIRED_GAIN * gains.std() / np.sqrt(len(gains))):
            best, best_gain = trial, float(gains.mean())
    return best


def summary(recommend: Doubles, target: Doubles) -> dict[str, float]:
    """Return the four means: recall and NDCG of recommendation and of targeting."""
    means = [side.mean(axis=0) if len(side) else np.zeros(2) for side in (recommend, target)]
    names = ("recall", "ndcg", "target_recall", "target_ndcg")
    return dict(zip(names, (float(value) for value in np.concatenate(means)), strict=True))
