"""Choose on a validation cut how the parts of the matching score are weighed, task by task.

A value replaces the one in force only when its gain exceeds half a standard error of the paired differences, so that
a small validation set moves little away from the defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from training.data.pair_log import PairLog
from training.engine.matching import TASKS
from training.models.matching import Calibration
from training.search.matching_validation import Side

Doubles = npt.NDArray[np.float64]
Judge = Callable[[Calibration], Doubles]
FIELDS = ("recall", "ndcg", "target_recall", "target_ndcg")
GAMMAS = (0.2, 0.3, 0.5, 0.7, 1.0, 1.4)
RECENT_SHARES = (0.01, 0.02, 0.05, 0.1, 0.25)
RECENT_WEIGHTS = (0.3, 0.6, 1.0)
LEARNED_WEIGHTS = (0.0, 0.5, 1.0)
ACTIVITIES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
RECENCIES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.3, 2.0)
REQUIRED_GAIN = 0.5
"""Standard errors by which a value must beat the one in force."""


@dataclass(frozen=True)
class Judged:
    """One cut that calibrations are judged on.

    Attributes:
        pairs: What was known at the cut.
        learned_I: float64[I], what training added to the item terms.
        recommend: Users of the cut with all items.
        target: Items of the cut with all users.
    """

    pairs: PairLog
    learned_I: Doubles
    recommend: Side
    target: Side

    def judge_items(self, trial: Calibration) -> Doubles:
        """Return float64[K, 2]: recall and NDCG of recommendation."""
        return self.recommend.judge(trial.gamma, trial.item_terms(self.pairs, self.learned_I))

    def judge_users(self, trial: Calibration) -> Doubles:
        """Return float64[K, 2]: recall and NDCG of targeting."""
        return self.target.judge(trial.gamma, trial.user_terms(self.pairs))

    def figures(self, trial: Calibration) -> dict[str, float]:
        """Return the four means: recall and NDCG of recommendation and of targeting."""
        means = [_means(side) for side in (self.judge_items(trial), self.judge_users(trial))]
        return dict(zip(FIELDS, (float(value) for value in np.concatenate(means)), strict=True))


def calibrate(start: Calibration, cuts: Sequence[Judged], tasks: Collection[str] = TASKS) -> Calibration:
    """Return the calibration that does best on average over the cuts; what no task of `tasks` judges stays.

    How far ahead a model will serve is not known when it is trained, and recency counts for more the nearer that is:
    cuts of several horizons keep the choice from betting on one.
    """
    items = [cut.judge_items for cut in cuts]
    users = [cut.judge_users for cut in cuts]
    chosen = start
    for _ in range(2 if TASKS[0] in tasks else 0):
        chosen = best_of(chosen, ({"gamma": g} for g in GAMMAS), items)
        recents = ({"recent_share": s, "recent_weight": w} for s in RECENT_SHARES for w in RECENT_WEIGHTS)
        chosen = best_of(chosen, recents, items)
        chosen = best_of(chosen, ({"learned_weight": w} for w in LEARNED_WEIGHTS), items)
    for _ in range(2 if TASKS[1] in tasks else 0):
        chosen = best_of(chosen, ({"recency": r} for r in RECENCIES), users)
        chosen = best_of(chosen, ({"activity": a} for a in ACTIVITIES), users)
    return chosen


def best_of(current: Calibration, changes: Iterable[dict[str, float]], judges: Sequence[Judge]) -> Calibration:
    """Return `current` with the change that gains most, or `current` when none gains enough.

    The gain is the mean of the relative changes of recall and NDCG, averaged over the judges.
    """
    references = [judge(current) for judge in judges]
    best, best_gain = current, 0.0
    for change in changes:
        trial = replace(current, **change)
        if trial == current:
            continue
        gain, error = _gain([judge(trial) for judge in judges], references)
        if gain > max(best_gain, REQUIRED_GAIN * error):
            best, best_gain = trial, gain
    return best


def _gain(trials: Sequence[Doubles], references: Sequence[Doubles]) -> tuple[float, float]:
    gains, variances = [0.0], [0.0]
    for trial, reference in zip(trials, references, strict=True):
        if len(reference):
            relative = ((trial - reference) / np.maximum(_means(reference), 1e-9)).mean(axis=1)
            gains.append(float(relative.mean()))
            variances.append(float(relative.var() / len(relative)))
    num = max(len(gains) - 1, 1)
    return sum(gains) / num, float(np.sqrt(sum(variances)) / num)


def _means(side: Doubles) -> Doubles:
    return np.asarray(side.mean(axis=0), np.float64) if len(side) else np.zeros(2)
