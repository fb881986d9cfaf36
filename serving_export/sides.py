"""Rank by the mapped vectors of a consumer's two sides, or by popularity. Numpy and `training.contracts` only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from serving_export.packed import Ids, Rows, find_rows, pair_scores, top_rows, unpack_ids
from training.arrays import Floats
from training.contracts.consumers import POPULARITY
from training.contracts.errors import AttuneError, UnknownId
from training.contracts.tombstones import TombstoneFile


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The best `ids` for one query, best first, with their scores float32 [k]; `consumer` made them, where known.

    Those of "popularity" are the items that most users have interacted with; a score is how many did.
    """

    query: str
    ids: tuple[str, ...]
    scores: Floats
    consumer: str = ""

    @property
    def fallback(self) -> bool:
        """Whether no consumer could answer, so that everyone gets the same."""
        return self.consumer == POPULARITY


class Side:
    """One side of a consumer: users or items, their vectors, and what each has interacted with on the other side."""

    def __init__(self, folder: Path, name: Literal["user", "item"], erased: TombstoneFile | None = None) -> None:
        """Map `<name>_{ids,vectors,seen_indptr,seen_indices}.npy` in a consumer's folder.

        Args:
            folder: The consumer's folder.
            name: Which side.
            erased: Whom to answer nothing of; None where nobody of this side can be erased, as on that of the items.
        """
        self.name, self.folder, self._erased = name, folder, erased
        self.ids: Ids = map_array(folder / f"{name}_ids.npy")
        self.vectors: Floats = map_array(folder / f"{name}_vectors.npy")
        self._indptr: Rows = map_array(folder / f"{name}_seen_indptr.npy")
        self._indices = map_array(folder / f"{name}_seen_indices.npy")

    @property
    def num_vectors(self) -> int:
        """K, vectors of one user or item."""
        return int(self.vectors.shape[1]) if self.vectors.ndim == 3 else 1

    @cached_property
    def num_seen(self) -> Rows:
        """How many rows of the other side each row has interacted with, int64 [N]."""
        return np.diff(self._indptr)

    def row(self, external_id: str) -> int:
        """Return the row of an id.

        Raises:
            UnknownId: The snapshot holds no such user or item.
        """
        row = int(find_rows(self.ids, [external_id])[0])
        if row < 0 or self.erased_rows(np.array([row])).size:
            raise UnknownId(
                f"expected a {self.name} of the snapshot, found unknown {self.name} {external_id!r} at {self.folder}; "
                "it has no interaction before the snapshot's as_of"
            )
        return row

    def erased_rows(self, rows: Rows | None = None) -> Rows:
        """Return those of some rows (None: of all) whose users were erased since the snapshot was written."""
        tombstones = self._erased.read() if self._erased is not None else None
        if not tombstones:
            return np.empty(0, dtype=np.int64)
        asked = np.arange(len(self.ids)) if rows is None else rows
        return asked[np.array(tombstones.among(unpack_ids(self.ids[asked])), dtype=np.bool_)]

    def seen(self, row: int) -> Rows:
        """Return the rows of the other side that `row` has interacted with, int32, ascending."""
        seen: Rows = self._indices[self._indptr[row] : self._indptr[row + 1]]
        return seen


class Consumer:
    """One consumer's vectors in a snapshot; its score of (user, item) is the plain inner product.

    Where a user has several vectors, `users.vectors` is [U, K, D] and the largest of their inner products counts.
    """

    def __init__(self, folder: Path, erased: TombstoneFile | None = None) -> None:
        """Map the consumer's two sides; of whom `erased` names nothing is answered."""
        self.folder = folder
        self.users, self.items = Side(folder, "user", erased), Side(folder, "item")

    def have_history(self, user_ids: Ids) -> Any:
        """Return bool [n]: which users have interacted with any item; `user_ids` is packed."""
        rows = find_rows(self.users.ids, unpack_ids(user_ids))
        return (rows >= 0) & (self.users.num_seen[rows] > 0)

    def recommend(self, user_id: str, k: int, *, drop_seen: bool = True) -> Ranking:
        """Return the k items that score highest for a user, by an exact product."""
        return rank_exactly(self.users, self.items, user_id, k, drop_seen=drop_seen)

    def target(self, item_id: str, k: int, *, drop_seen: bool = True) -> Ranking:
        """Return the k users that score highest for an item, by an exact product."""
        return rank_exactly(self.items, self.users, item_id, k, drop_seen=drop_seen)


class Popularity:
    """Every item of a snapshot, that which most users have interacted with first."""

    def __init__(self, folder: Path) -> None:
        """Map what was counted when the snapshot was published."""
        self.item_ids: Ids = map_array(folder / "item_ids.npy")
        self.scores: Floats = map_array(folder / "scores.npy")

    def recommend(self, user_id: str, k: int) -> Ranking:
        """Return the k items that most users have interacted with."""
        _require_k(k)
        ids = tuple(unpack_ids(self.item_ids[:k]))
        return Ranking(query=user_id, ids=ids, scores=self.scores[:k], consumer=POPULARITY)


def rank_exactly(queries: Side, answers: Side, external_id: str, k: int, *, drop_seen: bool) -> Ranking:
    """Return the k best rows of `answers` for one row of `queries` by a full product.

    Raises:
        UnknownId: `queries` holds no `external_id`.
        AttuneError: `k` is not positive.
    """
    _require_k(k)
    row = queries.row(external_id)
    scores = pair_scores(queries.vectors[row : row + 1], answers.vectors)[0]
    if drop_seen:
        scores[queries.seen(row)] = -np.inf
    best = top_rows(scores, k)
    while (erased := answers.erased_rows(best)).size:  # seldom: only erased users among the best are ranked around
        scores[erased] = -np.inf
        best = top_rows(scores, k)
    return Ranking(query=external_id, ids=tuple(unpack_ids(answers.ids[best])), scores=scores[best])


def _require_k(k: int) -> None:
    if k < 1:
        raise AttuneError(f"expected k of at least 1, found {k}")


def map_array(path: Path) -> Any:
    """Return the array of a file, mapped and read-only."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array.view(np.ndarray)
