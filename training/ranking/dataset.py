"""Hold what a consumer trains on: the pairs, every user's vector of one space, and the item vectors.

Shape legend: U users, I items, Z width of a user vector, E width of an item vector, N pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from training.arrays import Floats
from training.data.pair_log import PairLog
from training.data.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class EarlierVectors:
    """User vectors of the same space as of an earlier instant; choices are validated on these, never on later ones.

    Attributes:
        as_of: Epoch seconds, exclusive bound of what the vectors know.
        z_UZ: float32[U, Z], zero rows for users that were not known yet.
    """

    as_of: int
    z_UZ: Floats


@dataclass(frozen=True, kw_only=True)
class RankingDataset:
    """Interactions in time order with the vectors of one space.

    Attributes:
        users: Every rankable user.
        items: Every rankable item.
        user_idx: int32[N] into `users`.
        item_idx: int32[N] into `items`.
        occurred_at: int64[N], epoch seconds, non-decreasing.
        z_UZ: float32[U, Z]; zeros where a user has none.
        item_vectors_IE: float32[I, E]; zeros where an item has none.
        as_of: Epoch seconds, exclusive bound of what is known.
        space_id: The space of the vectors; empty without one.
        earlier: Vectors to validate on; None leaves them out of the validation.
        arrived_at: int64[N], epoch seconds from which each row was known; None where rows arrived as they occurred.
    """

    users: Vocabulary
    items: Vocabulary
    user_idx: npt.NDArray[np.int32]
    item_idx: npt.NDArray[np.int32]
    occurred_at: npt.NDArray[np.int64]
    z_UZ: Floats
    item_vectors_IE: Floats
    as_of: int
    space_id: str = ""
    earlier: EarlierVectors | None = None
    arrived_at: npt.NDArray[np.int64] | None = None

    @property
    def content_vectors(self) -> Floats:
        """float32[I, E / 2]: what attributes say of the items, the second half of their vectors.

        The first half, collaborative, knows the interactions up to the day of the space: a model that is validated on a
        cut before that day must not read it.
        """
        return self.item_vectors_IE[:, self.item_vectors_IE.shape[1] // 2 :]

    def known_before(self, second: int) -> Floats | None:
        """Return the earlier vectors, float32[U, Z], where they know nothing from `second` on; None otherwise."""
        return self.earlier.z_UZ if self.earlier is not None and self.earlier.as_of <= second else None

    def pairs(self) -> PairLog:
        """Return the distinct pairs in time order."""
        columns = self.user_idx, self.item_idx, self.occurred_at
        return PairLog.of(*columns, len(self.users), len(self.items), self.as_of, self.arrived_at).distinct()

    def pairs_over(self, items: Vocabulary) -> PairLog:
        """Return the distinct pairs with item indices of another vocabulary; items that it lacks are passed over."""
        pairs = self.pairs()
        if items == self.items:
            return pairs
        own = items.encode(self.items.ids, unknown="ignore").astype(np.int64)[pairs.item_idx]
        known = pairs.where(own >= 0)
        return replace(known, item_idx=own[own >= 0], num_items=len(items))
