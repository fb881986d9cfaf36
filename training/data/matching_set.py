"""Hold what a consumer trains on: the pairs, every user's vector of one space, and the item vectors.

Shape legend: U users, I items, Z width of a user vector, E width of an item vector, N pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.data.pair_log import PairLog
from training.data.vocabulary import Vocabulary

Floats = npt.NDArray[np.float32]


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
class MatchingData:
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

    def pairs(self) -> PairLog:
        """Return the distinct pairs in time order."""
        log = PairLog(
            user_idx=self.user_idx.astype(np.int64),
            item_idx=self.item_idx.astype(np.int64),
            occurred_at=self.occurred_at.astype(np.int64),
            num_users=len(self.users),
            num_items=len(self.items),
            as_of=self.as_of,
        )
        return log.distinct()
