"""Weigh the parts of the matching score on validation cuts, task by task.

The weights are those of greatest likelihood; how sharp the inner product should be among them is chosen by recall and
NDCG, which read the head of a list alone. A sharpness replaces the likeliest only when its gain exceeds half a standard
error of the paired differences. Users are what varies independently, so the error of ranking users for items is no
smaller than the number of users allows, however many items there are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.arrays import Doubles
from training.data.pair_log import PairLog
from training.ranking.calibration import Calibration, item_features, user_features
from training.ranking.conditional_logit import ChoiceLikelihood, fit_weights
from training.ranking.cut import TASKS, Side

FIELDS = ("recall", "ndcg", "target_recall", "target_ndcg")
SHARPNESS = (1.5, 2.0, 0.7)
"""Multiples of the likeliest weight of the inner product, the plainest first: it stays where several gain alike."""
Z_SHARES = (0.1, 0.25, 0.5)
SUCCESSOR_WEIGHTS = (100.0, 200.0, 400.0)
"""Of a chance, which is seldom above a hundredth."""
REQUIRED_GAIN = 0.5
"""Standard errors by which a change must beat the one in force."""


@dataclass(frozen=True)
class TaskMetric:
    """How one cut judges a calibration on one task.

    Attributes:
        figures: Gives float64[K, 2], recall and NDCG of each key.
        num_units: How many of the keys can vary independently, at least 1.
    """

    figures: Callable[[Calibration], Doubles]
    num_units: int

    def of(self, trial: Calibration) -> PerUserScores:
        """Return what it says of one calibration."""
        return PerUserScores(self.figures(trial), self.num_units)


@dataclass(frozen=True)
class PerUserScores:
    """Figures of some keys, float64[K, 2], and how many of the keys can vary independently."""

    figures: Doubles
    num_units: int


@dataclass(frozen=True)
class ValidationCut:
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

    def judges(self, tasks: Collection[str]) -> list[TaskMetric]:
        """Return how it judges each of the tasks."""
        ways = dict(zip(TASKS, (self.judge_items, self.judge_users), strict=True))
        return [TaskMetric(ways[task], self.num_users) for task in TASKS if task in tasks]

    def figures(self, trial: Calibration) -> dict[str, float]:
        """Return the four means: recall and NDCG of recommendation and of targeting."""
        return figures_of([judge.of(trial) for judge in self.judges(TASKS)])


def figures_of(said: Sequence[PerUserScores], tasks: Collection[str] = TASKS) -> dict[str, float]:
    """Return the four means of what one cut says of a calibration by `tasks`; those of another task are zero."""
    judged = [task for task in TASKS if task in tasks]
    means = dict(zip(judged, (_means(one.figures) for one in said), strict=True))
    values = np.concatenate([means.get(task, np.zeros(2)) for task in TASKS])
    return dict(zip(FIELDS, (float(value) for value in values), strict=True))


def calibrate(start: Calibration, cuts: Sequence[ValidationCut], tasks: Collection[str] = TASKS) -> Calibration:
    """Return the likeliest calibration over the cuts, as sharp as does best; what no task of `tasks` judges stays.

    How far ahead a model will serve is not known when it is trained, and recency counts for more the nearer that is:
    cuts of several horizons keep the choice from betting on one.
    """
    chosen = likeliest(start, cuts, tasks)
    if TASKS[0] in tasks:
        # The user weights keep their proportion to the score, which targeting has fitted.
        trials = [_scaled(chosen, score=m, users=m) for m in SHARPNESS]
        chosen = best_of(chosen, trials, [judge for cut in cuts for judge in cut.judges(TASKS[:1])])
    if TASKS[1] in tasks:
        trials = [_scaled(chosen, users=1 / m) for m in SHARPNESS]
        chosen = best_of(chosen, trials, [judge for cut in cuts for judge in cut.judges(TASKS[1:])])
    return chosen


def likeliest(start: Calibration, cuts: Sequence[ValidationCut], tasks: Collection[str] = TASKS) -> Calibration:
    """Fit the weights of each task by what was chosen on the cuts; a task without anything held out keeps its start."""
    plain, chosen = Calibration(), start
    recommend = [cut for cut in cuts if len(cut.recommend.keys) and TASKS[0] in tasks]
    if recommend:
        features = [np.column_stack([item_features(cut.pairs), cut.learned_I]) for cut in recommend]
        likelihoods = [ChoiceLikelihood(cut.recommend, x) for cut, x in zip(recommend, features, strict=True)]
        fitted_P = fit_weights(likelihoods, np.array([plain.gamma, *plain.item_weights, plain.learned_weight]))
        score, *items, learned = (float(weight) for weight in fitted_P)
        chosen = replace(chosen, gamma=score, item_weights=tuple(items), learned_weight=learned)
    target = [cut for cut in cuts if len(cut.target.keys) and TASKS[1] in tasks]
    if target:
        likelihoods = [ChoiceLikelihood(cut.target, user_features(cut.pairs)) for cut in target]
        fitted_P = fit_weights(likelihoods, np.array([plain.gamma, *plain.user_weights]))
        score, *users = (float(weight) for weight in fitted_P)
        chosen = replace(chosen, user_weights=tuple(weight * chosen.gamma / score for weight in users))
    return chosen


def with_z_share(
    current: Calibration, judged: Callable[[Calibration], ValidationCut], tasks: Collection[str] = TASKS
) -> Calibration:
    """Return `current` with the space's vectors let into users with history as far as gains most, or as it is.

    They are let in only when that gains more than two standard errors: a history says most of it already, and the
    space's items were learned from the weeks that validate as well, which flatters its vectors.

    Args:
        current: The calibration in force.
        judged: Gives the cut scored with some calibration's share.
        tasks: What judges.
    """
    return _most_gaining_of(current, [replace(current, z_share=share) for share in Z_SHARES], judged, tasks, 2.0)


def with_successors(
    current: Calibration, judged: Callable[[Calibration], ValidationCut], tasks: Collection[str] = TASKS
) -> Calibration:
    """Return `current` with the chances that an item follows weighed as gains most, or as it is; see `with_z_share`."""
    trials = [replace(current, successor_weight=weight) for weight in SUCCESSOR_WEIGHTS]
    return _most_gaining_of(current, trials, judged, tasks, REQUIRED_GAIN)


def _most_gaining_of(
    current: Calibration,
    trials: Sequence[Calibration],
    judged: Callable[[Calibration], ValidationCut],
    tasks: Collection[str],
    errors: float,
) -> Calibration:
    said = [[judge.of(trial) for judge in judged(trial).judges(tasks)] for trial in (current, *trials)]
    best = most_gaining(said[1:], said[0], errors)
    return current if best is None else trials[best]


def _scaled(calibration: Calibration, score: float = 1.0, users: float = 1.0) -> Calibration:
    weights = tuple(weight * users for weight in calibration.user_weights)
    return replace(calibration, gamma=calibration.gamma * score, user_weights=weights)


def best_of(current: Calibration, trials: Sequence[Calibration], judges: Sequence[TaskMetric]) -> Calibration:
    """Return the trial that gains most over `current`, or `current` when none gains enough.

    The gain is the mean of the relative changes of recall and NDCG, averaged over the judges.

    Args:
        current: The calibration in force.
        trials: At least one other, the plainest first.
        judges: What each cut says.
    """
    said = [[judge.of(trial) for judge in judges] for trial in (current, *trials)]
    best = most_gaining(said[1:], said[0])
    return current if best is None else trials[best]


def most_gaining(
    trials: Sequence[Sequence[PerUserScores]], reference: Sequence[PerUserScores], errors: float = REQUIRED_GAIN
) -> int | None:
    """Return the place of the trial that gains most, the first of equals; None where it gains too little.

    Args:
        trials: What the judges say of each, at least one.
        reference: What they say of the choice in force.
        errors: Standard errors that the gain must exceed.
    """
    gains = [relative_gain(trial, reference) for trial in trials]
    best = max(range(len(gains)), key=lambda place: gains[place][0])
    gain, error = gains[best]
    return best if gain > errors * error else None


def relative_gain(trial: Sequence[PerUserScores], reference: Sequence[PerUserScores]) -> tuple[float, float]:
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
