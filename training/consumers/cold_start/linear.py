"""Score by linear maps alone: what the ranking tower of the cold-start network is added to.

A user is a few coordinates. With behaviour, they are those of the history in the leading directions of the log, damped;
without, what ridge regression from attributes and picks expects them to be. It is MAIL's idea, attributes to behaviour,
at its plainest, and in the scale of shares: the tower adds in the scale of log-odds.

Shape legend: U users, I items, V attribute values, P picks, C coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from training.arrays import Floats, Indices
from training.consumers.cold_start.dataset import ABSENT, ColdStartData


@dataclass(frozen=True, kw_only=True)
class LinearStart:
    """Additive coordinates of users, and what each stands for over the items.

    Attributes:
        values_VC: float32[V, C], what an attribute value adds to a new user.
        picks_IC: float32[I, C], what an item picked at sign-up adds to a new user.
        new_C: float32[C], where a new user begins.
        behaviours_IC: float32[I, C], what an item of the history adds to an old user.
        old_C: float32[C], where an old user begins.
        items_IC: float32[I, C], how much of an item's share a coordinate is.
        shares_I: float32[I], share of users who interacted with the item, in units of the best sellers'.
    """

    values_VC: Floats
    picks_IC: Floats
    new_C: Floats
    behaviours_IC: Floats
    old_C: Floats
    items_IC: Floats
    shares_I: Floats

    def user_vectors(self, data: ColdStartData) -> Floats:
        """Return float32[U, C + 1]: coordinates, and a one for the shares."""
        new_UC = self.new_C + _summed(data.attribute_idx_UA, self.values_VC) + _summed(data.pick_idx_UP, self.picks_IC)
        old_UC = self.old_C + data.pairs.matrix() @ self.behaviours_IC
        users_UC = np.where(data.has_history[:, None], old_UC, new_UC)
        return np.column_stack([users_UC, np.ones(len(users_UC))]).astype(np.float32)

    def item_vectors(self) -> Floats:
        """Return float32[I, C + 1]."""
        return np.column_stack([self.items_IC, self.shares_I]).astype(np.float32)

    def save(self, path: Path) -> None:
        """Write it as one .npz file."""
        arrays: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        np.savez(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> LinearStart:
        """Return what `save` wrote."""
        with np.load(path) as arrays:
            return cls(**{name: arrays[name] for name in arrays.files})


def token_counts(table_UT: Indices, num_values: int) -> sp.csr_matrix:
    """Return float32[U, V]: how often each user has each token of a table that is padded with `ABSENT`."""
    rows, columns = np.nonzero(table_UT != ABSENT)
    ones = np.ones(len(rows), np.float32)
    return sp.csr_matrix((ones, (rows, table_UT[rows, columns])), (len(table_UT), num_values))


def _summed(table_UT: Indices, vectors_VC: Floats) -> Floats:
    return np.asarray(token_counts(table_UT, len(vectors_VC)) @ vectors_VC, np.float32)
