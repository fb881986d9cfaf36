"""Remember every snapshot that was ever on disk, so that each answer can be held against the one that it names."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving_export.packed import find_rows, pair_scores, unpack_ids
from serving_export.retention import list_snapshots
from serving_export.snapshot import Snapshot
from training.contracts.consumers import POPULARITY
from training.contracts.errors import MissingArtefact
from training.settings import Settings
from training.storage import folders

TOLERANCE = 1e-4
"""Scores are told to six digits, and sums of float32 depend on their order."""


class Published:
    """The snapshots of a home; once one is mapped, it is read although retention has removed its folder."""

    def __init__(self, settings: Settings) -> None:
        """Remember nothing yet."""
        self.folder = settings.published_dir
        self._settings = settings
        self._snapshots: dict[str, Snapshot] = {}

    def collect(self) -> None:
        """Map what has come to disk since."""
        for folder in folders(self.folder):
            with suppress(FileNotFoundError):  # retention has taken it meanwhile
                for entry in list_snapshots(self._settings, folder.name):
                    if entry.path not in self._snapshots:
                        with suppress(MissingArtefact):
                            self._snapshots[entry.path] = Snapshot(self.folder, entry)

    def named(self, answer: dict[str, Any]) -> list[Snapshot]:
        """Return the snapshots of the space and the day that an answer names: one, and after an erasure its heir."""
        names = (answer["space_id"], answer["partition"])
        return [one for one in self._snapshots.values() if (one.entry.space_id, one.entry.partition) == names]


def holds_vectors(snapshot: Snapshot, answer: dict[str, Any], frame: str) -> bool:
    """Return whether every vector of a lookup's answer is that of a snapshot, bit for bit; in its frame where asked."""
    if frame and snapshot.entry.frame != frame:
        return False
    rows = find_rows(snapshot.user_ids, [user["user_id"] for user in answer["users"]])
    if (rows < 0).any():
        return False
    source = snapshot.framed_vectors if frame else snapshot.vectors
    told = np.array([user["vector"] for user in answer["users"]], np.float32).reshape(len(rows), source.shape[1])
    return bool(np.array_equal(told, source[rows]))


def holds_ranking(snapshot: Snapshot, answer: dict[str, Any], query: str) -> bool:
    """Return whether the scores of a ranking are those of a snapshot's model: products of its own two sides.

    Args:
        snapshot: One of the space and the day that the answer names.
        answer: Of `recommend` or `target`.
        query: "user" or "item", what was asked for.
    """
    consumer = answer["consumer"]
    if consumer == POPULARITY:
        return snapshot.popularity is not None
    if snapshot.entry.consumers.get(consumer, {}).get("version") != answer["version"]:
        return False
    sides = {"user": snapshot.consumer(consumer).users, "item": snapshot.consumer(consumer).items}
    asked, answered = sides.pop(query), next(iter(sides.values()))
    row, rows = find_rows(asked.ids, [answer["query"]]), find_rows(answered.ids, answer["ids"])
    if (row < 0).any() or (rows < 0).any():
        return False
    scores: NDArray[np.float32] = pair_scores(asked.vectors[row], answered.vectors[rows])[0]
    return bool(np.allclose(scores, answer["scores"], rtol=TOLERANCE, atol=TOLERANCE))


def users_of(snapshot: Snapshot) -> set[str]:
    """Return whom a snapshot holds."""
    return set(unpack_ids(snapshot.user_ids))
