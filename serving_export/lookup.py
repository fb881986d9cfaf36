"""Look up published vectors: open the pointer, map the arrays, answer.

Numpy, the standard library and `training.contracts` only: an outside team can vendor this module with `pointer`,
`packed`, `sides` and the contracts. Whoever was erased is unknown from that moment on, though the snapshot holds a row.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from serving_export.checksum import MANIFEST, require_lengths, verify
from serving_export.packed import Ids, Rows, find_rows, unpack_ids
from serving_export.sides import Consumer, Popularity, Ranking, Side, map_array, rank_exactly
from training.arrays import Floats
from training.contracts.consumers import FOR_USERS_WITHOUT_HISTORY, POPULARITY
from training.contracts.errors import AttuneError, MissingArtefact, SpaceMismatch, UnknownId
from training.contracts.partitions import Partition
from training.contracts.tombstones import TombstoneFile
from training.registry.pointer import Pointer, PublishedSnapshot, read_pointer

__all__ = ["Consumer", "EmbeddingStore", "Embeddings", "Ranking", "Side", "Snapshot", "rank_exactly"]
OnUnknown = Literal["raise", "warn", "ignore"]
OnUnknownUser = Literal["raise", "popularity"]


@dataclass(frozen=True, kw_only=True)
class Embeddings:
    """What a lookup found.

    Attributes:
        user_ids: The known users among those asked for, in the order asked.
        vectors: float32 [n, Z], row i is that of `user_ids[i]`.
        unknown: The users that the snapshot does not hold.
        space_id: The space of every vector; never compare them with vectors of another.
        partition: The day that the snapshot is of.
        as_of: Exclusive upper bound of what the vectors know.
        age: From `as_of` to the moment of the lookup.
        stale: Whether the age exceeds the configured one.
        virtual: Those without history: the encoder read their profile, their picks and imagined behaviour.
    """

    user_ids: tuple[str, ...]
    vectors: Floats
    unknown: tuple[str, ...]
    space_id: str
    partition: str
    as_of: datetime
    age: timedelta
    stale: bool
    virtual: tuple[str, ...] = ()


class Snapshot:
    """One packed snapshot, mapped and read-only."""

    def __init__(self, published_dir: Path, entry: PublishedSnapshot) -> None:
        """Map the snapshot that a pointer names, whole: once it is open, retention may remove its folder.

        Raises:
            SpaceMismatch: The folder holds vectors of another space than the pointer says.
            MissingArtefact: The folder is gone, or a file of it.
            AttuneError: A file has another length than the manifest says.
        """
        self.entry, self.folder = entry, published_dir / entry.path
        self.erased = TombstoneFile(published_dir)
        try:
            self.manifest: dict[str, Any] = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
            require_lengths(self.folder, self.manifest)
            self.user_ids: Ids = map_array(self.folder / "user_ids.npy")
            self.vectors: Floats = map_array(self.folder / "vectors.npy")
            self.is_virtual = self._map_virtual()
            self._consumers = {
                name: Consumer(self.folder / "consumers" / name, self.erased) for name in entry.consumers
            }
            self.popularity = self._map_popularity()
        except FileNotFoundError as error:
            raise MissingArtefact(
                f"expected a snapshot at {self.folder}, found no {error.filename}; run refresh for {entry.partition}, "
                "or reload() the store where the pointer has moved on"
            ) from error
        if self.manifest["space_id"] != entry.space_id:
            remedy = f"publish {entry.space_id} again for {entry.partition}"
            raise SpaceMismatch(entry.space_id, self.manifest["space_id"], str(self.folder), remedy)

    def _map_virtual(self) -> Any:
        """Return bool [U]: users without history, whose vectors are imagined; none where no consumer imagines any."""
        path = self.folder / "is_virtual.npy"
        return map_array(path) if path.exists() else np.zeros(len(self.user_ids), dtype=np.bool_)

    def _map_popularity(self) -> Popularity | None:
        """Return what answers where no consumer can; None in a snapshot that was published without consumers."""
        folder = self.folder / POPULARITY
        return Popularity(folder) if folder.is_dir() else None

    def rows_of(self, user_ids: Sequence[str]) -> Rows:
        """Return the row of each user, int64 [n], -1 where the snapshot holds none or the user was erased."""
        rows = find_rows(self.user_ids, user_ids)
        tombstones = self.erased.read()
        return np.where(tombstones.among(user_ids), -1, rows) if tombstones and len(rows) else rows

    def answering(self, user_id: str, consumer: str) -> str:
        """Return who ranks items for a user: the consumer, or for a user without history cold start, or popularity."""
        row = int(self.rows_of([user_id])[0])
        if row < 0 or consumer not in self.entry.consumers:
            return consumer
        if FOR_USERS_WITHOUT_HISTORY in self.entry.consumers:
            return FOR_USERS_WITHOUT_HISTORY if self.is_virtual[row] else consumer
        return (
            consumer
            if self.popularity is None or self.consumer(consumer).have_history(self.user_ids[[row]])[0]
            else POPULARITY
        )

    def model(self, name: str) -> dict[str, str]:
        """Return the `version` and `space_id` of the model that answers as `name`; popularity's version is its day."""
        if name == POPULARITY:
            return {"version": self.entry.partition, "space_id": self.entry.space_id}
        return dict(self.entry.consumers[name])

    @cached_property
    def as_of(self) -> datetime:
        """Exclusive upper bound of what the vectors know."""
        return Partition.parse(self.entry.partition).as_of

    def consumer(self, name: str) -> Consumer:
        """Return a consumer's vectors.

        Raises:
            MissingArtefact: The snapshot was published without that consumer.
        """
        if name not in self.entry.consumers:
            raise MissingArtefact(
                f"expected consumer {name} in {self.folder}, found {', '.join(self.entry.consumers) or 'none'}; "
                f"train it on space {self.entry.space_id} and promote"
            )
        return self._consumers[name]


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

    def lookup(self, user_ids: Sequence[str], on_unknown: OnUnknown = "raise") -> Embeddings:
        """Return the vectors of users.

        Args:
            user_ids: External ids, in any order, repeats allowed.
            on_unknown: What to do with users that the snapshot does not hold: "raise", or leave them out with a
                warning ("warn") or without ("ignore").

        Raises:
            UnknownId: A user is unknown and `on_unknown` is "raise".
        """
        snapshot = self.snapshot
        rows = snapshot.rows_of(user_ids)
        unknown = tuple(user_id for user_id, row in zip(user_ids, rows.tolist(), strict=True) if row < 0)
        if unknown:
            _refuse(unknown, snapshot, on_unknown)
        known = rows[rows >= 0]
        age = datetime.now(UTC) - snapshot.as_of
        return Embeddings(
            user_ids=tuple(u for u, row in zip(user_ids, rows.tolist(), strict=True) if row >= 0),
            vectors=np.asarray(snapshot.vectors[known], dtype=np.float32),
            unknown=unknown,
            space_id=snapshot.entry.space_id,
            partition=snapshot.entry.partition,
            as_of=snapshot.as_of,
            age=age,
            stale=age > self._stale_after,
            virtual=tuple(unpack_ids(snapshot.user_ids[known[snapshot.is_virtual[known]]])),
        )

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
        name, snapshot = self.answering(user_id, consumer, on_unknown)
        if name == POPULARITY and snapshot.popularity is not None:
            return snapshot.popularity.recommend(user_id, k)
        return replace(snapshot.consumer(name).recommend(user_id, k, drop_seen=drop_seen), consumer=name)

    def target(self, item_id: str, k: int, consumer: str = "matching", *, drop_seen: bool = True) -> Ranking:
        """Return an item's k best users, best first; `drop_seen` leaves out those who already met it."""
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
