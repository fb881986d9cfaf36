"""Hold out, inside a cold-start training period, what its choices are made on.

The cut hides all pairs of some users, who play the new ones, and the newest pairs of the others, who stay old.

Shape legend: U users, I items, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from training.arrays import Floats, Indices
from training.consumers.cold_start.dataset import ColdStartData
from training.data.pair_log import PairLog
from training.evaluation.metrics import MAX_JUDGED, RankingScores, VectorScorer, evaluate, sample

CUT = 20
GROUPS = ("new", "old")


@dataclass(frozen=True)
class Cut:
    """What is learned from and what is held out.

    Attributes:
        known: The data without the new users' pairs and without the newest pairs of the others.
        new_UI, old_UI: float32[U, I], held-out pairs of each group, of `MAX_JUDGED` users at most; rows of the other
            users are empty.
    """

    known: ColdStartData
    new_UI: sp.csr_matrix
    old_UI: sp.csr_matrix

    @classmethod
    def of(cls, data: ColdStartData, new_share: float, old_share: float, seed: int) -> Cut:
        """Return the cut.

        Args:
            data: Everything that is known.
            new_share: Share of users with history who play the new ones, drawn by the seed.
            old_share: Share of rows, the newest, that old users are judged on.
            seed: Of the draw.
        """
        rng = np.random.default_rng(seed)
        with_history = np.flatnonzero(data.has_history)
        chosen = rng.choice(with_history, int(len(with_history) * new_share), replace=False)
        new_U = np.zeros(data.pairs.num_users, bool)
        new_U[chosen] = True
        instant = data.pairs.instant_at(1 - old_share)
        others = data.pairs.where(~new_U[data.pairs.user_idx])
        earlier, later = others.before(instant), others.since(instant)
        known_U = earlier.user_counts() > 0
        old = later.where(known_U[later.user_idx])
        new = data.pairs.where(new_U[data.pairs.user_idx])
        held_out = (_of_some_users(group, seed).matrix() for group in (new, old))
        return cls(data.without_users(~known_U).with_pairs(earlier), *held_out)

    @property
    def judged_users(self) -> Indices:
        """int64[K]: users with anything held out; only their vectors are read."""
        return np.flatnonzero(np.diff(self.new_UI.indptr) + np.diff(self.old_UI.indptr)).astype(np.int64)

    @cached_property
    def _seen(self) -> sp.csr_matrix:
        return self.known.pairs.matrix()

    def judge(self, users_UD: Floats, items_ID: Floats) -> dict[str, RankingScores]:
        """Return how well vectors rank the held-out pairs of each group."""
        scorer = VectorScorer(users_UD, items_ID)
        held_out = dict(zip(GROUPS, (self.new_UI, self.old_UI), strict=True))
        return {
            group: evaluate(scorer, self._seen, truth, CUT, targeting=False).recommendation
            for group, truth in held_out.items()
        }


def _of_some_users(pairs: PairLog, seed: int) -> PairLog:
    """Return the pairs of `MAX_JUDGED` users, drawn by the seed; of all where there are no more."""
    users = np.unique(pairs.user_idx)
    return pairs if len(users) <= MAX_JUDGED else pairs.where(np.isin(pairs.user_idx, sample(users, MAX_JUDGED, seed)))
