"""Ask of a user representation: will u interact with i within the next days, and how well can a light model tell?

The light model is the same for every representation r: a logistic model on r ⊗ v with one L2 penalty chosen
inside the training users. Only what r carries makes the difference (Fazelnia et al. 2025, first evaluation).

Shape legend: U users, I items, P pairs, R representation columns, V item vector columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.arrays import Floats, Indices
from training.evaluation.light_model import fit_light_model
from training.reproducible import deterministic

MIN_POSITIVES = 100
MIN_USERS = 20
NUM_FOLDS = 2


@dataclass(frozen=True)
class PairTask:
    """Labelled pairs: as many negatives as positives, half popularity-matched, half uniform.

    Attributes:
        user_idx: int64 [P].
        item_idx: int64 [P].
        label: float32 [P], 1 where the user interacted with the item for the first time in the label window.
    """

    user_idx: Indices
    item_idx: Indices
    label: Floats

    @property
    def num_positives(self) -> int:
        """Pairs with label 1."""
        return int(self.label.sum())

    @property
    def num_users(self) -> int:
        """Users with at least one pair."""
        return len(np.unique(self.user_idx))

    @property
    def too_small(self) -> str:
        """Why nothing can be concluded, or an empty string."""
        num_negatives = len(self.label) - self.num_positives
        if num_negatives < self.num_positives // 2:
            return f"not enough evidence: n={num_negatives} pairs without interaction, users know nearly every item"
        if self.num_positives >= MIN_POSITIVES and self.num_users >= MIN_USERS:
            return ""
        return f"not enough evidence: n={self.num_positives} positives of {self.num_users} users"


@dataclass(frozen=True)
class ProbeScores:
    """Out-of-fold scores of one representation on a task."""

    score: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float64]


def build_pair_task(
    past: tuple[Indices, Indices], future: tuple[Indices, Indices], num_items: int, seed: int, max_positives: int
) -> PairTask:
    """Return the task of telling first meetings in the label window from pairs that did not interact.

    Args:
        past: User and item indices, int64 [N], of the interactions known at the anchor.
        future: The same of the label window; users and items unknown at the anchor must be left out by the caller.
        num_items: I.
        seed: Seed of the sampled negatives.
        max_positives: More positives than these are sampled down.
    """
    generator = np.random.default_rng(seed)
    known = _pair_keys(past, num_items)
    positive = np.setdiff1d(_pair_keys(future, num_items), known)
    if len(positive) > max_positives:
        positive = np.sort(generator.choice(positive, max_positives, replace=False))
    users, items = np.divmod(positive, num_items)
    taken = np.union1d(known, _pair_keys(future, num_items))
    popular = past[1] if len(past[1]) else np.arange(num_items)
    negative_users, negative_items = _draw_negatives(users, popular, num_items, taken, generator)
    return PairTask(
        user_idx=np.concatenate([users, negative_users]),
        item_idx=np.concatenate([items, negative_items]),
        label=np.concatenate([np.ones(len(users)), np.zeros(len(negative_users))]).astype(np.float32),
    )


def _pair_keys(pairs: tuple[Indices, Indices], num_items: int) -> Indices:
    return np.unique(pairs[0] * num_items + pairs[1])


def _draw_negatives(
    users: Indices, popular: Indices, num_items: int, taken: Indices, generator: np.random.Generator
) -> tuple[Indices, Indices]:
    """Return one unmet item per positive; drawn by popularity and uniformly in turn, redrawn where known."""
    items = np.zeros(len(users), np.int64)
    todo = np.arange(len(users))
    for _ in range(20):
        by_popularity = generator.choice(popular, len(todo))
        uniform = generator.integers(0, num_items, len(todo))
        items[todo] = np.where(todo % 2 == 0, by_popularity, uniform)
        todo = todo[np.isin(users[todo] * num_items + items[todo], taken)]
        if len(todo) == 0:
            break
    keep = np.setdiff1d(np.arange(len(users)), todo)
    return users[keep], items[keep]


def probe(task: PairTask, users_UR: Floats, items_IV: Floats, seed: int) -> ProbeScores:
    """Return out-of-fold scores: users are split, each part is scored by a model that never saw its users."""
    fold_U = np.random.default_rng(seed).permutation(len(users_UR)) % NUM_FOLDS
    score, probability = np.zeros(len(task.label)), np.zeros(len(task.label))
    for fold in range(NUM_FOLDS):
        test = fold_U[task.user_idx] == fold
        train = PairTask(task.user_idx[~test], task.item_idx[~test], task.label[~test])
        with deterministic(seed):
            model = fit_light_model(train.user_idx, train.item_idx, train.label, users_UR, items_IV, seed)
            score[test] = model.score(task.user_idx[test], task.item_idx[test], users_UR, items_IV)
    probability = 1 / (1 + np.exp(-np.clip(score, -30, 30)))
    return ProbeScores(score, probability)
