"""Choose on a validation cut how the parts of the matching score are weighed, task by task.

A value replaces the one in force only when its gain exceeds half a standard error of the paired differences, so that a
small validation set moves little away from the defaults. Users are what varies independently, so the error of ranking
users for items is no smaller than the number of users allows, however many items there are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from training.data.pair_log import PairLog
from training.engine.matching import TASKS
from training.models.matching import Calibration
from training.search.matching_validation import Side

Doubles = npt.NDArray[np.float64]
FIELDS = ("recall", "ndcg", "target_recall", "target_ndcg")
GAMMAS = (0.7, 1.0, 0.5, 1.4, 0.3, 0.2)
RECENT_SHARES = (0.25, 0.1, 0.05, 0.02, 0.01)
RECENT_WEIGHTS = (0.3, 0.6, 1.0)
LEARNED_WEIGHTS = (1.0, 0.5, 0.0)
ACTIVITIES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
RECENCIES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.3, 2.0)
"""Values of each field, the plainest first: it stays where several gain alike."""
REQUIRED_GAIN = 0.5
"""Standard errors by which a value must beat the one in force."""


@dataclass(frozen=True)
class Judge:
    """How one cut judges a calibration on one task.

    Attributes:
        figures: Gives float64[K, 2], recall and NDCG of each key.
        num_units: How many of the keys can vary independently, at least 1.
    """

    figures: Callable[[Calibration], Doubles]
    num_units: int

    def of(self, trial: Calibration) -> Keyed:
        """Return what it says of one calibration."""
        return Keyed(self.figures(trial), self.num_units)


@dataclass(frozen=True)
class Keyed:
    """Figures of some keys, float64[K, 2], and how many of the keys can vary independently."""

    figures: Doubles
    num_units: int


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

    @property
    def num_users(self) -> int:
        """Users with something held out: what is independent of each other on both sides."""
        held_out = [np.diff(self.recommend.truth.indptr), np.diff(self.target.truth.tocsc().indptr)]
        return int(max(np.count_nonzero(counts) for counts in held_out))

    def judge_items(self, trial: Calibration) -> Doubles:
        """Return float64[K, 2]: recall and NDCG of recommendation."""
        return self.recommend.judge(trial.gamma, trial.item_terms(self.pairs, self.learned_I))

    def judge_users(self, trial: Calibration) -> Doubles:
        """Return float64[K, 2]: recall and NDCG of targeting."""
        return self.target.judge(trial.gamma, trial.user_terms(self.pairs))

    def judges(self, tasks: Collection[str]) -> list[Judge]:
        """Return how it judges each of the tasks."""
        ways = dict(zip(TASKS, (self.judge_items, self.judge_users), strict=True))
        return [Judge(ways[task], self.num_users) for task in TASKS if task in tasks]

    def figures(self, trial: Calibration) -> dict[str, float]:
        """Return the four means: recall and NDCG of recommendation and of targeting."""
        means = [_means(side) for side in (self.judge_items(trial), self.judge_users(trial))]
        return dict(zip(FIELDS, (float(value) for value in np.concatenate(means)), strict=True))


def calibrate(start: Calibration, cuts: Sequence[Judged], tasks: Collection[str] = TASKS) -> Calibration:
    """Return the calibration that does best on average over the cuts; what no task of `tasks` judges stays.

    How far ahead a model will serve is not known when it is trained, and recency counts for more the nearer that is:
    cuts of several horizons keep the choice from betting on one.
    """
    items, users = ([judge for cut in cuts for judge in cut.judges([task])] for task in TASKS)
    chosen = start
    for _ in range(2 if TASKS[0] in tasks else 0):
        chosen = best_of(chosen, [{"gamma": g} for g in GAMMAS], items)
        recents = [{"recent_share": s, "recent_weight": w} for w in RECENT_WEIGHTS for s in RECENT_SHARES]
        chosen = best_of(chosen, recents, items)
        chosen = best_of(chosen, [{"learned_weight": w} for w in LEARNED_WEIGHTS], items)
    for _ in range(2 if TASKS[1] in tasks else 0):
        chosen = best_of(chosen, [{"recency": r} for r in RECENCIES], users)
        chosen = best_of(chosen, [{"activity": a} for a in ACTIVITIES], users)
    return chosen


def best_of(current: Calibration, changes: Sequence[dict[str, float]], judges: Sequence[Judge]) -> Calibration:
    """Return `current` with the change that gains most, or `current` when none gains enough.

    The gain is the mean of the relative changes of recall and NDCG, averaged over the judges.

    Args:
        current: The calibration in force.
        changes: Fields to replace, the plainest first.
        judges: What each cut says.
    """
    references = [judge.of(current) for judge in judges]
    trials = [replace(current, **change) for change in changes]
    gains = [relative_gain([judge.of(trial) for judge in judges], references) for trial in trials]
    best = max(range(len(gains)), key=lambda place: gains[place][0])
    gain, error = gains[best]
    return trials[best] if gain > REQUIRED_GAIN * error else current


def relative_gain(trial: Sequence[Keyed], reference: Sequence[Keyed]) -> tuple[float, float]:
    """Return the mean relative change of recall and NDCG over judgements of the same keys, and its standard error.

    Args:
        trial: One entry per cut and task.
        reference: The same of what is compared with.
    """
    gains, variances = [0.0], [0.0]
    for new, old in zip(trial, reference, strict=True):
        if len(old.figures):
            relative = ((new.figures - old.figures) / np.maximum(_means(old.figures), 1e-9)).mean(axis=1)
            gains.append(float(relative.mean()))
            variances.append(float(relative.var() / min(len(relative), old.num_units)))
    num = max(len(gains) - 1, 1)
    return sum(gains) / num, float(np.sqrt(sum(variances)) / num)


def _means(side: Doubles) -> Doubles:
    return np.asarray(side.mean(axis=0), np.float64) if len(side) else np.zeros(2)
