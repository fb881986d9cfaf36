"""Hold who interacted with what and when as index arrays in time order: what matching learns from.

Shape legend: N pairs, U users, I items.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from training.arrays import Doubles, Indices

SECONDS_PER_DAY = 86_400.0


@dataclass(frozen=True, kw_only=True)
class PairLog:
    """Interactions in time order, over index spaces that a cut leaves as they are.

    Attributes:
        user_idx: int64[N] in [0, num_users).
        item_idx: int64[N] in [0, num_items).
        occurred_at: int64[N], epoch seconds, non-decreasing.
        num_users: U; a user may be without any pair.
        num_items: I; an item may be without any pair.
        as_of: Epoch seconds, exclusive upper bound of what is known.
        arrived_at: int64[N], epoch seconds from which each row was known; None where rows arrived as they occurred.
    """

    user_idx: Indices
    item_idx: Indices
    occurred_at: Indices
    num_users: int
    num_items: int
    as_of: int
    arrived_at: Indices | None = None

    @classmethod
    def of(
        cls,
        user_idx: npt.NDArray[np.integer],
        item_idx: npt.NDArray[np.integer],
        occurred_at: npt.NDArray[np.integer],
        num_users: int,
        num_items: int,
        as_of: int | None = None,
        arrived_at: npt.NDArray[np.integer] | None = None,
    ) -> PairLog:
        """Return a log of index arrays of any integer type; known until a second after its last row unless told."""
        times = occurred_at.astype(np.int64)
        return cls(
            user_idx=user_idx.astype(np.int64),
            item_idx=item_idx.astype(np.int64),
            occurred_at=times,
            num_users=num_users,
            num_items=num_items,
            as_of=int(times.max(initial=0)) + 1 if as_of is None else as_of,
            arrived_at=None if arrived_at is None else arrived_at.astype(np.int64),
        )

    def __len__(self) -> int:
        return len(self.user_idx)

    def distinct(self) -> PairLog:
        """Return one row per (user, item), its last, still in time order."""
        key = self.user_idx * np.int64(self.num_items) + self.item_idx
        _, last_from_end = np.unique(key[::-1], return_index=True)
        return self._take(np.sort(len(key) - 1 - last_from_end))

    def before(self, second: int) -> PairLog:
        """Return what was known at `second` (exclusive), with that as its `as_of`."""
        return replace(self._take(np.arange(np.searchsorted(self.occurred_at, second))), as_of=second)

    def since(self, second: int) -> PairLog:
        """Return what occurred at `second` or later."""
        return self._take(np.arange(np.searchsorted(self.occurred_at, second), len(self)))

    def where(self, keep: npt.NDArray[np.bool_]) -> PairLog:
        """Return the rows where `keep`, bool[N], is true."""
        return self._take(np.flatnonzero(keep))

    def instant_at(self, share: float) -> int:
        """Return the exclusive end of the first `share` of rows: one second after the row there; ties stay together.

        An empty log ends at its `as_of`.
        """
        if not len(self):
            return self.as_of
        return int(self.occurred_at[max(int(len(self) * share) - 1, 0)]) + 1

    def matrix(self) -> sp.csr_matrix:
        """Return float32[U, I] with 1 where a pair occurred."""
        shape = (self.num_users, self.num_items)
        counts = sp.csr_matrix((np.ones(len(self), np.float32), (self.user_idx, self.item_idx)), shape)
        counts.data[:] = 1
        return counts

    def user_counts(self, newest_share: float = 1.0) -> Doubles:
        """Return float64[U]: rows per user among the newest share, in (0, 1], of rows."""
        newest = self.user_idx[len(self) - round(len(self) * newest_share) :]
        return np.bincount(newest, minlength=self.num_users).astype(np.float64)

    def item_counts(self, newest_share: float = 1.0) -> Doubles:
        """Return float64[I]: rows per item among the newest share, in (0, 1], of rows."""
        newest = self.item_idx[len(self) - round(len(self) * newest_share) :]
        return np.bincount(newest, minlength=self.num_items).astype(np.float64)

    def user_age_days(self) -> Doubles:
        """Return float64[U]: days from the user's last row to `as_of`; a user without rows is as old as the log."""
        last = np.full(self.num_users, self.occurred_at[0] if len(self) else self.as_of, np.int64)
        np.maximum.at(last, self.user_idx, self.occurred_at)
        return (self.as_of - last) / SECONDS_PER_DAY

    def histories(self) -> Histories:
        """Return every user's items, oldest first."""
        # A sparse matrix's rows are laid out by counting, which keeps each row's order and takes a fifth of a sort.
        places = (self.user_idx, np.arange(len(self)))
        rows = sp.coo_array((np.ones(len(self), np.bool_), places), shape=(self.num_users, len(self))).tocsr()
        arrived_at = self.occurred_at if self.arrived_at is None else self.arrived_at
        return Histories(
            item_idx=self.item_idx[rows.indices],
            occurred_at=self.occurred_at[rows.indices],
            arrived_at=arrived_at[rows.indices],
            offsets=rows.indptr.astype(np.int64),
        )

    def _take(self, rows: Indices) -> PairLog:
        return replace(
            self,
            user_idx=self.user_idx[rows],
            item_idx=self.item_idx[rows],
            occurred_at=self.occurred_at[rows],
            arrived_at=None if self.arrived_at is None else self.arrived_at[rows],
        )


@dataclass(frozen=True)
class Histories:
    """Items by user, oldest first, end to end.

    Attributes:
        item_idx: int64[N].
        occurred_at: int64[N], epoch seconds.
        arrived_at: int64[N], epoch seconds from which each row was known.
        offsets: int64[U + 1]; user u owns rows offsets[u]:offsets[u + 1].
    """

    item_idx: Indices
    occurred_at: Indices
    arrived_at: Indices
    offsets: Indices

    @property
    def lengths(self) -> Indices:
        """int64[U]: rows per user."""
        return np.diff(self.offsets)

    def users_since(self, second: int) -> Indices:
        """Return the users with a row that arrived at `second` or later, ascending."""
        new = np.append([0], np.cumsum(self.arrived_at >= second))
        return np.flatnonzero(np.diff(new[self.offsets]))

    def rows_of(self, user_idx: Indices, newest: int | None = None) -> tuple[Indices, Indices]:
        """Return the rows of some users, end to end, and for each the place of its user in `user_idx`.

        Args:
            user_idx: int64[B].
            newest: When given, no more than so many newest rows of each user.
        """
        lengths = self.lengths[user_idx]
        if newest is not None:
            lengths = np.minimum(lengths, newest)
        place = np.repeat(np.arange(len(user_idx)), lengths)
        within = np.arange(len(place)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return (self.offsets[1:][user_idx] - lengths)[place] + within, place
