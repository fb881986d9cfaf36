"""Look up published vectors: open the pointer, map the arrays, answer.

Numpy, the standard library and `training.contracts` only: an outside team can vendor this module with `pointer`,
`packed`, `sides`, `overlay`, `snapshot`, `embeddings` and the contracts. Whoever was erased is unknown from that moment
on, though the snapshot holds a row.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np

from serving_export.checksum import verify
from serving_export.embeddings import Embeddings, FramedItems, Standing
from serving_export.overlay import FreshVector, Overlay, stack
from serving_export.packed import Rows, find_rows, top_rows, unpack_ids
from serving_export.sides import Consumer, Ranking, Side, rank_exactly
from serving_export.snapshot import Snapshot
from training.arrays import Floats
from training.contracts.consumers import FOR_USERS_WITHOUT_HISTORY, POPULARITY
from training.contracts.errors import AttuneError, MissingArtefact, UnknownId
from training.registry.pointer import Pointer, PublishedSnapshot, read_pointer

__all__ = [
    "Consumer",
    "EmbeddingStore",
    "Embeddings",
    "FramedItems",
    "Ranking",
    "Side",
    "Snapshot",
    "Standing",
    "rank_exactly",
]
OnUnknown = Literal["raise", "warn", "ignore"]
OnUnknownUser = Literal["raise", "popularity"]


class EmbeddingStore:
    """Serve vectors of one space from the published folder: the live space, or one that is named."""

    def __init__(
        self, published_dir: Path | str, *, space_id: str | None = None, stale_after_days: float = 2.0
    ) -> None:
        """Open the snapshot that is in force.

        Args:
            published_dir: Folder that holds `pointer.json`.
            space_id: The space that the caller's model was trained on; None follows the live one.
            stale_after_days: Age above which an answer is flagged stale.

        Raises:
            MissingArtefact: Nothing was promoted yet.
            SpaceMismatch: `space_id` is not served.
        """
        self._published = Path(published_dir)
        self._space_id = space_id
        self._stale_after = timedelta(days=stale_after_days)
        self.pointer, self._snapshots = self._open()
        self._overlay = Overlay(self._published)

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that answers lookups."""
        return self._snapshot(self.pointer.resolve(self._space_id))

    @property
    def space_id(self) -> str:
        """The space of the vectors that lookups return."""
        return self.pointer.resolve(self._space_id).space_id

    @property
    def dimension(self) -> int:
        """Width Z of a vector."""
        return int(self.snapshot.vectors.shape[1])

    def reload(self) -> bool:
        """Follow the pointer if it has moved; return whether it had. Readers in other threads are not disturbed.

        Raises:
            SpaceMismatch: The space that this store was opened for is no longer served; the old answers go on.
        """
        if read_pointer(self._published) == self.pointer:
            return False
        self.pointer, self._snapshots = self._open()
        return True

    def lookup(self, user_ids: Sequence[str], on_unknown: OnUnknown = "raise", frame: str | None = None) -> Embeddings:
        """Return the vectors of users.

        Args:
            user_ids: External ids, in any order, repeats allowed.
            on_unknown: What to do with users that the snapshot does not hold: "raise", or leave them out with a
                warning ("warn") or without ("ignore").
            frame: The frame that the caller's model was fitted on: vectors turned into it, of the newest space that it
                carries. None gives the vectors of the space itself.

        Raises:
            UnknownId: A user is unknown and `on_unknown` is "raise".
            FrameMismatch: The frame is not served.
        """
        snapshot = self.snapshot if frame is None else self.snapshot_in(frame)
        rows = snapshot.rows_of(user_ids)
        fresh = self._fresh(snapshot, user_ids)
        missing = (user_ids[place] for place in np.flatnonzero(rows < 0).tolist())
        unknown = tuple(user_id for user_id in missing if user_id not in fresh)
        if unknown:
            _refuse(unknown, snapshot, on_unknown)
        known, kept = user_ids, rows
        if unknown:
            places = [n for n, row in enumerate(rows.tolist()) if row >= 0 or user_ids[n] in fresh]
            known, kept = [user_ids[n] for n in places], rows[places]
        return Embeddings(
            user_ids=tuple(known),
            vectors=_newest(snapshot, known, kept, fresh, framed=frame is not None),
            unknown=unknown,
            virtual=_virtual(snapshot, known, kept, fresh),
            fresh={user_id: row.newest_at for user_id, row in fresh.items()},
            **vars(self.standing(snapshot, frame or "")),
        )

    def standing(self, snapshot: Snapshot, frame: str = "") -> Standing:
        """Return the space of a snapshot, or the frame that it was turned into, and how old what it knows is now."""
        age = datetime.now(UTC) - snapshot.as_of
        return Standing(
            space_id=snapshot.entry.space_id,
            partition=snapshot.entry.partition,
            as_of=snapshot.as_of,
            age=age,
            stale=age > self._stale_after,
            frame=frame,
        )

    def lookup_items(self, frame: str, item_ids: Sequence[str] | None = None) -> FramedItems:
        """Return items' vectors for the readers of a frame; those that the snapshot does not hold are named.

        Args:
            frame: The frame that the caller's model was fitted on.
            item_ids: External ids, in any order; None asks for every item.

        Raises:
            FrameMismatch: The frame is not served.
        """
        snapshot = self.snapshot_in(frame)
        asked = unpack_ids(snapshot.item_ids) if item_ids is None else item_ids
        rows = find_rows(snapshot.item_ids, asked)
        return FramedItems(
            item_ids=tuple(one for one, row in zip(asked, rows.tolist(), strict=True) if row >= 0),
            vectors=np.asarray(snapshot.item_vectors[rows[rows >= 0]], dtype=np.float32),
            unknown=tuple(one for one, row in zip(asked, rows.tolist(), strict=True) if row < 0),
            **vars(self.standing(snapshot, frame)),
        )

    def snapshot_in(self, frame: str) -> Snapshot:
        """Return the snapshot that answers readers of a frame: of the newest space that it carries, or of this store's.

        Raises:
            FrameMismatch: The frame is not served.
        """
        return self._snapshot(self.pointer.of_frame(frame, self._space_id))

    def _fresh(self, snapshot: Snapshot, user_ids: Sequence[str]) -> Mapping[str, FreshVector]:
        found = self._overlay.find(snapshot.entry.space_id, snapshot.entry.partition, user_ids)
        tombstones = snapshot.erased.read()
        if not found or not tombstones:
            return found
        erased = dict(zip(user_ids, tombstones.among(user_ids), strict=True))
        return {user_id: row for user_id, row in found.items() if not erased[user_id]}

    def fresh_users(self) -> list[str]:
        """Return the users whose vectors follow events that came after the snapshot, sorted."""
        snapshot = self.snapshot
        users = self._overlay.users(snapshot.entry.space_id, snapshot.entry.partition)
        erased = snapshot.erased.read().among(users)
        return [user for user, is_erased in zip(users, erased, strict=True) if not is_erased]

    def fresh_ranking(
        self, user_id: str, k: int, consumer: str = "matching", *, drop_seen: bool = True
    ) -> Ranking | None:
        """Return the k best items of a user who was without history when the snapshot was made, and is read over it.

        None for any other, and for one whom the snapshot knows where nothing but popularity takes such users.
        """
        snapshot = self.snapshot_of(consumer)
        found = self._overlay.ranker(snapshot.entry.space_id, snapshot.entry.partition, user_id)
        if found is None or any(snapshot.erased.read().among([user_id])):
            return None
        cold = FOR_USERS_WITHOUT_HISTORY
        if found.vector is not None and snapshot.entry.versions.get(cold) == found.version:
            items = snapshot.consumer(cold).items
            scores = items.vectors @ found.vector
            if drop_seen:
                seen = find_rows(items.ids, found.seen)
                scores[seen[seen >= 0]] = -np.inf
            best = top_rows(scores, k)
            return Ranking(query=user_id, ids=tuple(unpack_ids(items.ids[best])), scores=scores[best], consumer=cold)
        is_unknown = int(find_rows(snapshot.user_ids, [user_id])[0]) < 0
        return snapshot.popularity.recommend(user_id, k) if is_unknown and snapshot.popularity else None

    def snapshot_of(self, consumer: str) -> Snapshot:
        """Return the snapshot with a consumer's vectors: the live one or, for a pinned consumer, its own space's."""
        return self._snapshot(self.pointer.resolve(self._space_id, None if self._space_id else consumer))

    def consumer(self, name: str) -> Consumer:
        """Return a consumer's vectors."""
        return self.snapshot_of(name).consumer(name)

    def answering(
        self, user_id: str, consumer: str = "matching", on_unknown: OnUnknownUser = "raise"
    ) -> tuple[str, Snapshot]:
        """Return who ranks items for a user where `consumer` is asked, and the snapshot that holds it."""
        snapshot = self.snapshot_of(consumer)
        is_unknown = int(snapshot.rows_of([user_id])[0]) < 0
        if is_unknown and on_unknown == "popularity" and snapshot.popularity is not None:
            return POPULARITY, snapshot
        return snapshot.answering(user_id, consumer), snapshot

    def model(self, consumer: str, user_id: str | None = None) -> dict[str, str]:
        """Return the `version` and `space_id` of what answers for a consumer, or for a user of it."""
        if user_id is None:
            return self.snapshot_of(consumer).model(consumer)
        name, snapshot = self.answering(user_id, consumer)
        return snapshot.model(name)

    def recommend(
        self,
        user_id: str,
        k: int,
        consumer: str = "matching",
        *,
        drop_seen: bool = True,
        on_unknown: OnUnknownUser = "raise",
    ) -> Ranking:
        """Return a user's k best items, best first; `drop_seen` leaves out those already interacted with.

        A user without history is answered for by the consumer for such users or, where a snapshot lacks that one, by
        popularity; `Ranking.consumer` and `Ranking.fallback` say so. So is, if asked, one that the snapshot lacks.
        """
        fresh = self.fresh_ranking(user_id, k, consumer, drop_seen=drop_seen)
        if fresh is not None:
            return fresh
        name, snapshot = self.answering(user_id, consumer, on_unknown)
        if name == POPULARITY and snapshot.popularity is not None:
            return snapshot.popularity.recommend(user_id, k)
        return replace(snapshot.consumer(name).recommend(user_id, k, drop_seen=drop_seen), consumer=name)

    def target(self, item_id: str, k: int, consumer: str = "matching", *, drop_seen: bool = True) -> Ranking:
        """Return an item's k best users, best first; `drop_seen` leaves out those who already interacted with it."""
        return replace(self.consumer(consumer).target(item_id, k, drop_seen=drop_seen), consumer=consumer)

    def for_space(self, space_id: str | None) -> EmbeddingStore:
        """Return a store of another served space (None: the live one) over the same pointer and the same maps.

        Raises:
            SpaceMismatch: `space_id` is not served.
        """
        self.pointer.resolve(space_id)
        other = copy(self)
        other._space_id = space_id
        return other

    def verify(self) -> None:
        """Hold every byte of every served snapshot against its checksum.

        Raises:
            AttuneError: A file is missing or its bytes differ.
        """
        for snapshot in self._snapshots.values():
            verify(snapshot.folder)

    def _snapshot(self, entry: PublishedSnapshot) -> Snapshot:
        if entry.path not in self._snapshots:
            self._snapshots[entry.path] = Snapshot(self._published, entry)
        return self._snapshots[entry.path]

    def _open(self) -> tuple[Pointer, dict[str, Snapshot]]:
        """Map every served snapshot; one that retention removed meanwhile means that the pointer has moved on."""
        for attempt in range(5):
            pointer = read_pointer(self._published)
            entry = pointer.resolve(self._space_id)
            try:
                return pointer, {entry.path: Snapshot(self._published, entry), **self._others(pointer, entry)}
            except MissingArtefact:
                if attempt == 4 or read_pointer(self._published) == pointer:
                    raise
        raise AssertionError("unreachable")

    def _others(self, pointer: Pointer, default: PublishedSnapshot) -> dict[str, Snapshot]:
        """Map the other served snapshots; what is wrong with one is told to those who ask for it."""
        found = {}
        for entry in pointer.snapshots:
            if entry != default:
                with suppress(AttuneError):
                    found[entry.path] = Snapshot(self._published, entry)
        return found


def _newest(
    snapshot: Snapshot, users: Sequence[str], rows: Rows, fresh: Mapping[str, FreshVector], *, framed: bool
) -> Floats:
    """Return users' vectors, float32 [n, Z]: the overlay's where it has one, else the snapshot's."""
    daily = snapshot.framed_vectors if framed else snapshot.vectors
    if not fresh:
        return np.asarray(daily[rows], dtype=np.float32)
    vectors = np.empty((len(users), daily.shape[1]), np.float32)
    known = rows >= 0
    vectors[known] = daily[rows[known]]
    places = [place for place, user in enumerate(users) if user in fresh]
    newer = stack([fresh[users[place]] for place in places])
    vectors[places] = snapshot.turned(newer) if framed else newer
    return vectors


def _virtual(snapshot: Snapshot, users: Sequence[str], rows: Rows, fresh: Mapping[str, FreshVector]) -> tuple[str, ...]:
    """Return the users whose behaviour was imagined."""
    if not fresh:
        return tuple(unpack_ids(snapshot.user_ids[rows[snapshot.is_virtual[rows]]]))
    daily = zip(users, rows.tolist(), strict=True)
    return tuple(u for u, row in daily if (fresh[u].is_virtual if u in fresh else bool(snapshot.is_virtual[row])))


def _refuse(unknown: tuple[str, ...], snapshot: Snapshot, on_unknown: OnUnknown) -> None:
    message = (
        f"expected users known as of {snapshot.as_of:%Y-%m-%d}, found {len(unknown)} unknown "
        f"({', '.join(repr(u) for u in unknown[:3])}{', ...' if len(unknown) > 3 else ''}) at {snapshot.folder}; "
        "a user is known from the partition in which the first log row arrived"
    )
    if on_unknown == "raise":
        raise UnknownId(message)
    if on_unknown == "warn":
        warnings.warn(message, stacklevel=3)
