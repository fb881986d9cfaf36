"""Present a training log to the peers: contiguous indices in time order, and the matrices they share.

Shapes: N interactions, U users, I items, D width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np
import scipy.sparse as sp

from training.arrays import Floats, Indices

T = TypeVar("T")


@dataclass(frozen=True)
class TrainingLog:
    """Distinct (user, item) pairs, oldest first; a user's own order breaks ties of time.

    Attributes:
        num_users: U.
        num_items: I.
        user_idx: int64[N].
        item_idx: int64[N].
        occurred_at: int64[N], UTC seconds, ascending.
    """

    num_users: int
    num_items: int
    user_idx: Indices
    item_idx: Indices
    occurred_at: Indices
    _memo: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def without_memo(self) -> TrainingLog:
        """Return the same log with nothing computed yet, so that a fit on it is timed whole."""
        return TrainingLog(self.num_users, self.num_items, self.user_idx, self.item_idx, self.occurred_at)

    @property
    def matrix(self) -> sp.csr_matrix:
        """The pairs as float32[U, I] of ones."""
        ones = np.ones(len(self.user_idx), np.float32)
        return sp.csr_matrix((ones, (self.user_idx, self.item_idx)), (self.num_users, self.num_items))

    @property
    def item_counts(self) -> Indices:
        """Interactions of each item, int64[I]."""
        return np.bincount(self.item_idx, minlength=self.num_items)

    @property
    def user_counts(self) -> Indices:
        """Interactions of each user, int64[U]."""
        return np.bincount(self.user_idx, minlength=self.num_users)

    def once(self, key: tuple[Any, ...], compute: Callable[[], T]) -> T:
        """Return `compute()`, done once per log and key: what the points of a grid have in common."""
        if key not in self._memo:
            self._memo[key] = compute()
        return cast(T, self._memo[key])


@dataclass(frozen=True)
class OuterScorer:
    """Score without any interaction of user and item: one order of all items, one order of all users.

    Attributes:
        item_order: float32[I], distinct values.
        user_order: float32[U], distinct values.
    """

    item_order: Floats
    user_order: Floats

    def item_scores(self, user_idx: Indices) -> Floats:
        """Return float32[B, I], the same row for everyone."""
        return np.broadcast_to(self.item_order, (len(user_idx), len(self.item_order)))

    def user_scores(self, item_idx: Indices) -> Floats:
        """Return float32[B, U], the same row for every item."""
        return np.broadcast_to(self.user_order, (len(item_idx), len(self.user_order)))


@dataclass(frozen=True)
class ProductScorer:
    """Score by users' sparse weights float32[U, I] times item-to-item weights [I, I], dense or sparse, plus a bias.

    Attributes:
        weights: What each user has, float32[U, I].
        item_to_item: Weight of item column j given item row i.
        bias: float32[I], added to every row.
    """

    weights: sp.csr_matrix
    item_to_item: Any
    bias: Floats

    def item_scores(self, user_idx: Indices) -> Floats:
        """Return float32[B, I]."""
        return _dense(self.weights[user_idx] @ self.item_to_item) + self.bias

    def user_scores(self, item_idx: Indices) -> Floats:
        """Return float32[B, U]."""
        return (_dense(self.weights @ self.item_to_item[:, item_idx]) + self.bias[item_idx]).T


def _dense(scores: Any) -> Floats:
    return np.asarray(scores if isinstance(scores, np.ndarray) else scores.toarray(), np.float32)
