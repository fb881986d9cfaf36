"""Hold what came next after each item as vectors: they remember pairs of items that towers of few columns forget.

Shape legend: U users, I items, R columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from training.arrays import Floats
from training.data.pair_log import PairLog
from training.ranking.history_rows import pooling_weights

REACH = 5
"""Items after an item that count as following it, and newest items of a user that say what follows."""
TRANSITION_DECAY = 0.7
"""Weight of an item relative to the one a place nearer."""


@dataclass(frozen=True)
class Successors:
    """The chances that an item follows another, as inner products; a Markov chain factorised (Rendle et al. 2010).

    Attributes:
        preceding_IR: float32[I, R], items as predecessors.
        following_IR: float32[I, R], items as what follows.
    """

    preceding_IR: Floats
    following_IR: Floats

    @classmethod
    def none(cls, num_items: int) -> Successors:
        """Return those of no columns, which add nothing to a score."""
        return cls(np.zeros((num_items, 0), np.float32), np.zeros((num_items, 0), np.float32))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Floats], num_items: int) -> Successors:
        """Return those whose `arrays` lie among others; `none` where they do not."""
        return cls(arrays["met"], arrays["following"]) if "met" in arrays else cls.none(num_items)

    def arrays(self) -> dict[str, Floats]:
        """Return what a model folder keeps; nothing of no columns."""
        return {"met": self.preceding_IR, "following": self.following_IR} if self.preceding_IR.shape[1] else {}

    def users(self, pairs: PairLog) -> Floats:
        """Return float32[U, R]: the mean of each user's newest `REACH` items, nearer ones more; zeros without any."""
        histories = pairs.histories()
        rows, place = histories.rows_of(np.arange(pairs.num_users), newest=REACH)
        weights = pooling_weights(place, pairs.num_users, TRANSITION_DECAY, REACH)
        newest_UI = sp.csr_matrix((weights, (place, histories.item_idx[rows])), (pairs.num_users, pairs.num_items))
        return np.asarray(newest_UI @ self.preceding_IR, np.float32)
