"""Find users or items that are like one another: the nearest by cosine, by full products."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from serving_export.lookup import Ranking
from serving_export.packed import Ids, Rows, find_rows, top_rows, unpack_ids
from serving_export.snapshot import Snapshot
from training.arrays import Floats
from training.contracts.errors import AttuneError, UnknownId
from training.contracts.tombstones import TombstoneFile, Tombstones

CHUNK_SCORES = 8_000_000
"""Scores held in memory at once (32 MB)."""
_TINY = np.float32(1e-12)


class Neighbours:
    """The rows of one matrix by how near they are to each other."""

    def __init__(self, ids: Ids, vectors_NZ: Floats, what: str, erased: TombstoneFile | None = None) -> None:
        """Take the length of every row.

        Args:
            ids: Packed external ids [N], sorted.
            vectors_NZ: float32, row i is that of `ids[i]`.
            what: What a row is, for errors: "user" or "item".
            erased: Whom to answer nothing of; None where the rows are items.
        """
        self._ids, self._vectors_NZ, self._what, self._erased = ids, vectors_NZ, what, erased
        self._lengths_N = np.maximum(np.sqrt(np.einsum("nz,nz->n", vectors_NZ, vectors_NZ)), _TINY)

    def known(self, external_ids: Sequence[str]) -> list[bool]:
        """Return which ids there are."""
        return [row >= 0 for row in self._rows(external_ids).tolist()]

    def find(self, external_ids: Sequence[str], k: int) -> Iterator[Ranking]:
        """Yield for each id the k others nearest to it, nearest first, with their cosines.

        Raises:
            UnknownId: There is no row of an id.
            AttuneError: `k` is not positive.
        """
        if k < 1:
            raise AttuneError(f"expected k of at least 1, found {k}")
        rows = self._rows(external_ids)
        if (rows < 0).any():
            unknown = external_ids[int(np.argmin(rows))]
            raise UnknownId(f"expected a {self._what} of the snapshot, found unknown {self._what} {unknown!r}")
        step = max(1, CHUNK_SCORES // max(1, len(self._ids)))
        for start in range(0, len(rows), step):
            yield from self._nearest(external_ids[start : start + step], rows[start : start + step], k)

    def _nearest(self, external_ids: Sequence[str], rows: Rows, k: int) -> Iterator[Ranking]:
        unit_QZ = self._vectors_NZ[rows] / self._lengths_N[rows, None]
        cosines_QN = (unit_QZ @ self._vectors_NZ.T) / self._lengths_N
        cosines_QN[np.arange(len(rows)), rows] = -np.inf
        for external_id, cosines in zip(external_ids, cosines_QN, strict=True):
            best = top_rows(cosines, k)
            while (gone := best[self._are_erased(unpack_ids(self._ids[best]))]).size:
                cosines[gone] = -np.inf
                best = top_rows(cosines, k)
            yield Ranking(query=external_id, ids=tuple(unpack_ids(self._ids[best])), scores=cosines[best])

    def _rows(self, external_ids: Sequence[str]) -> Rows:
        """Return the row of each id, int64 [n], -1 where there is none or the user was erased."""
        return np.where(self._are_erased(external_ids), -1, find_rows(self._ids, external_ids))

    def _are_erased(self, external_ids: Sequence[str]) -> NDArray[np.bool_]:
        tombstones = Tombstones() if self._erased is None else self._erased.read()
        return np.array(tombstones.among(external_ids), dtype=np.bool_)


class Neighbourhoods:
    """The neighbours of every snapshot that is asked, kept as long as the snapshot is open."""

    def __init__(self) -> None:
        self._found: WeakKeyDictionary[Snapshot, dict[str, Neighbours]] = WeakKeyDictionary()

    def users(self, snapshot: Snapshot, *, framed: bool = False) -> Neighbours:
        """Return the users of a space by the snapshot's vectors, or by those that were turned into its frame."""
        if framed:
            return self._of(
                snapshot, "users in the frame", snapshot.user_ids, snapshot.framed_vectors, "user", snapshot.erased
            )
        return self._of(snapshot, "", snapshot.user_ids, snapshot.vectors, "user", snapshot.erased)

    def items(self, snapshot: Snapshot, consumer: str) -> Neighbours:
        """Return the items of a consumer by its vectors.

        Raises:
            UnknownConsumer: The snapshot was published without that consumer.
        """
        items = snapshot.consumer(consumer).items
        return self._of(snapshot, consumer, items.ids, items.vectors, "item")

    def _of(
        self,
        snapshot: Snapshot,
        name: str,
        ids: Ids,
        vectors_NZ: Floats,
        what: str,
        erased: TombstoneFile | None = None,
    ) -> Neighbours:
        kept = self._found.setdefault(snapshot, {})
        if name not in kept:
            kept[name] = Neighbours(ids, vectors_NZ, what, erased)
        return kept[name]
