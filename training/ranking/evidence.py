"""Keep what a gate needs to judge the matching model by: NDCG of held-out users and items, for it and its rivals.

Shape legend: U users, I items, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from training.arrays import Doubles, Floats
from training.data.pair_log import PairLog
from training.evaluation.metrics import MAX_JUDGED, TwoSidedScores, VectorScorer, evaluate
from training.ranking.cut import CUT, TASKS, Cut

CHAMPION = "champion"
"""The rival in the evidence that is the model now in service."""
Vectors = tuple[Floats, Floats]
"""Users float32[U, D], or several a user [U, K, D], and items float32[I, D]."""


@dataclass
class Evidence:
    """Full rankings on the validation cut: `scores` by name, "own" being the model's; empty with too few held-out
    rows to compare on.
    """

    finite: bool = True
    scores: dict[str, TwoSidedScores] = field(default_factory=dict)

    @classmethod
    def on(
        cls,
        cut: Cut,
        own: Callable[[], Vectors],
        rivals: Mapping[str, Callable[[], Vectors]],
        served: Vectors,
        least: int = 1,
    ) -> Evidence:
        """Return what a cut says of the model, of popularity and activity, and of its rivals.

        Args:
            cut: With too few held-out rows it says nothing, and no rival is trained for it.
            own: Gives the model's choices as known at the cut.
            rivals: Give the same of what it is compared with.
            served: The model as it will be served, which must be finite.
            least: Held-out rows that it takes: those that choose nothing judge nothing either.
        """
        evidence = cls(finite=all(bool(np.isfinite(side).all()) for side in served))
        if len(cut.later) >= max(least, 1):
            popular = partial(popularity_vectors, cut.known)
            named: dict[str, Callable[[], Vectors]] = {"own": own, "popularity and activity": popular, **rivals}
            for name, vectors in named.items():
                evidence.judge(name, cut, *vectors())
        return evidence

    @property
    def rivals(self) -> list[str]:
        """Names of what the model is compared with."""
        return [name for name in self.scores if name != "own"]

    def judge(self, name: str, cut: Cut, users_UD: Floats, items_ID: Floats) -> None:
        """Rank with some vectors and keep the figures under `name`."""
        scorer = VectorScorer(users_UD, items_ID)
        self.scores[name] = evaluate(scorer, cut.known.matrix(), cut.later.matrix(), CUT, max_keys=MAX_JUDGED)

    def own(self, task: str) -> Doubles:
        """Return the model's NDCG per key of a task, float64[K]."""
        return self._ndcg("own", task)

    def compared_with(self, rival: str) -> list[tuple[str, Doubles]]:
        """Return each task with the rival's NDCG per key, in the order of `own`."""
        return [(task, self._ndcg(rival, task)) for task in TASKS]

    def metrics(self) -> dict[str, float]:
        """Return recall and NDCG of every name and task, flat."""
        return {
            f"{name}.{key}".replace("@", "_at_"): value
            for name, scores in self.scores.items()
            for key, value in scores.summary(CUT).items()
        }

    def _ndcg(self, name: str, task: str) -> Doubles:
        scores = self.scores[name]
        side = scores.recommendation if task == TASKS[0] else scores.targeting
        return side.ndcg(CUT) if side is not None else np.zeros(0)


def popularity_vectors(known: PairLog) -> tuple[Floats, Floats]:
    """Return users float32[U, 2] and items float32[I, 2] that rank items by popularity and users by activity."""
    users = np.column_stack([known.user_counts(), np.ones(known.num_users)])
    items = np.column_stack([np.ones(known.num_items), known.item_counts()])
    return users.astype(np.float32), items.astype(np.float32)
