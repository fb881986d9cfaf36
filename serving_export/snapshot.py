"""One packed snapshot, mapped and read-only. Numpy, `training.contracts` and `training.registry.pointer` only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from serving_export.checksum import MANIFEST, require_lengths
from serving_export.packed import FRAME, Ids, Rows, find_rows
from serving_export.sides import Consumer, Popularity, map_array
from training.arrays import Floats
from training.contracts.consumers import FOR_USERS_WITHOUT_HISTORY, POPULARITY
from training.contracts.errors import MissingArtefact, SpaceMismatch, UnknownConsumer
from training.contracts.partitions import Partition
from training.contracts.tombstones import TombstoneFile
from training.registry.pointer import PublishedSnapshot

_TURN = ("rotation", "centre", "origin")


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
            if entry.frame:
                self.framed_vectors: Floats = map_array(self.folder / FRAME / "vectors.npy")
                self.turn = tuple(map_array(self.folder / FRAME / f"{name}.npy") for name in _TURN)
                self.item_ids: Ids = map_array(self.folder / FRAME / "item_ids.npy")
                self.item_vectors: Floats = map_array(self.folder / FRAME / "item_vectors.npy")
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

    def turned(self, vectors_nZ: Floats) -> Floats:
        """Return vectors of the space turned into the snapshot's frame, float32 [n, Z]."""
        rotation, centre, origin = self.turn
        return np.asarray((vectors_nZ - centre) @ rotation + origin, np.float32)

    def consumer(self, name: str) -> Consumer:
        """Return a consumer's vectors.

        Raises:
            UnknownConsumer: The snapshot was published without that consumer.
        """
        if name not in self.entry.consumers:
            remedy = f"train it on space {self.entry.space_id} and promote"
            raise UnknownConsumer(name, sorted(self.entry.consumers), str(self.folder), remedy)
        return self._consumers[name]
