"""Say which snapshots are served: the one truth is the file `published/pointer.json`.

Standard library and `training.contracts` only, so that a lookup starts in milliseconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from training.contracts.artefacts import Artefact
from training.contracts.errors import AttuneError, FrameMismatch, MissingArtefact, SpaceMismatch, UnknownConsumer

POINTER = "pointer.json"
HISTORY = "history"


@dataclass(frozen=True, kw_only=True)
class PublishedSnapshot(Artefact):
    """One packed snapshot on disk.

    Attributes:
        space_id: The space of every vector in it.
        partition: The day whose users it holds.
        path: Its folder, relative to the published folder.
        consumers: For each consumer served from it, the model's `version` and `space_id`.
        frame: The frame that its vectors were turned into as well; empty where they were not.
    """

    space_id: str
    partition: str
    path: str
    consumers: dict[str, dict[str, str]] = field(default_factory=dict)
    frame: str = ""

    @property
    def versions(self) -> dict[str, str]:
        """The model version of each consumer."""
        return {name: model["version"] for name, model in sorted(self.consumers.items())}


@dataclass(frozen=True, kw_only=True)
class Pointer(Artefact):
    """What is served now.

    Attributes:
        sequence: Counts the moves of the pointer from 1.
        kind: What moved it: "promote", "refresh", "rollback", "pin" or "frame".
        previous: Sequence of the pointer that a rollback returns to, None before the second promotion.
        live: The snapshot served by default.
        legacy: The newest snapshot of the space before it, still refreshed.
        pinned: Snapshots of older spaces that a consumer is pinned to.
        pins: The space that each pinned consumer or team stays on, or the frame that a team reads.
        returned: Sequence of the pointer that the last rollback left; None once something was promoted after it.
        withdrawn: What rollbacks have left: no promotion brings it back unless it is told to.
        reason: Why the move was forced; empty for one that passed every check.
        frame: The frame that promotions bring new spaces into; empty where the next one begins a frame.
    """

    sequence: int
    kind: str
    previous: int | None
    live: PublishedSnapshot
    legacy: PublishedSnapshot | None = None
    pinned: tuple[PublishedSnapshot, ...] = ()
    pins: dict[str, str] = field(default_factory=dict)
    returned: int | None = None
    withdrawn: tuple[PublishedSnapshot, ...] = ()
    reason: str = ""
    frame: str = ""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the pointer, its snapshots restored."""
        legacy = values.get("legacy")
        restored = {
            "live": PublishedSnapshot.from_dict(values["live"]),
            "legacy": PublishedSnapshot.from_dict(legacy) if legacy else None,
            "pinned": tuple(PublishedSnapshot.from_dict(entry) for entry in values.get("pinned", ())),
            "withdrawn": tuple(PublishedSnapshot.from_dict(entry) for entry in values.get("withdrawn", ())),
        }
        return super().from_dict({**values, **restored})

    @property
    def snapshots(self) -> tuple[PublishedSnapshot, ...]:
        """Every snapshot that is served, the live one first."""
        return (self.live, *((self.legacy,) if self.legacy else ()), *self.pinned)

    def of_space(self, space_id: str) -> PublishedSnapshot | None:
        """Return the served snapshot of a space, None if the space is not served."""
        return next((entry for entry in self.snapshots if entry.space_id == space_id), None)

    @property
    def frames(self) -> dict[str, PublishedSnapshot]:
        """By frame, the snapshot that answers for it: the first of those served that were turned into it."""
        return {entry.frame: entry for entry in reversed(self.snapshots) if entry.frame}

    def of_frame(self, frame: str, space_id: str | None = None) -> PublishedSnapshot:
        """Return the snapshot that answers readers of a frame, of a certain space where one is named.

        Raises:
            FrameMismatch: No served snapshot, or not that of the space, was turned into the frame.
        """
        entry = self.frames.get(frame) if space_id is None else self.resolve(space_id)
        if entry is not None and entry.frame == frame:
            return entry
        found = ", ".join(sorted(self.frames)) if entry is None else entry.frame
        remedy = "fit the reader anew on the frame in force, and pin a frame before readers depend on it"
        raise FrameMismatch(frame, found or "no frame", POINTER, remedy)

    def resolve(self, space_id: str | None = None, consumer: str | None = None) -> PublishedSnapshot:
        """Return the snapshot to read: the live one, that of a space, or for a consumer the one that it is to read.

        That is the snapshot of the space that the consumer is pinned to, else the first that carries it.

        Raises:
            SpaceMismatch: `space_id` is not served any more, or not yet.
            UnknownConsumer: No served snapshot carries `consumer`.
            MissingArtefact: That of the space which `consumer` is pinned to does not.
        """
        if space_id is not None:
            found = self.of_space(space_id)
            if found is None:
                remedy = "pin a space before its consumers depend on it, or move them to the live one"
                raise SpaceMismatch(space_id, self.live.space_id, POINTER, remedy)
            return found
        if consumer is None:
            return self.live
        if consumer in self.pins:
            return self._pinned(consumer)
        for entry in self.snapshots:
            if consumer in entry.consumers:
                return entry
        served = sorted({name for entry in self.snapshots for name in entry.consumers})
        remedy = f"train {consumer} on space {self.live.space_id} and promote again"
        raise UnknownConsumer(consumer, served, POINTER, remedy)

    def _pinned(self, consumer: str) -> PublishedSnapshot:
        space_id = self.pins[consumer]
        found = self.of_space(space_id)
        if found is None or consumer not in found.consumers:
            raise MissingArtefact(
                f"expected vectors of {consumer} in space {space_id}, which it is pinned to, found none in {POINTER}; "
                f"refresh the newest partition, or `unpin {consumer}`"
            )
        return found


def read_pointer(published_dir: Path) -> Pointer:
    """Return the pointer that is in force.

    Raises:
        MissingArtefact: Nothing was ever promoted in this home.
    """
    pointer = find_pointer(published_dir)
    if pointer is None:
        raise MissingArtefact(
            f"expected a live snapshot at {published_dir / POINTER}, found none; promote a space first "
            "(python -m serving_export promote --partition D)"
        )
    return pointer


def find_pointer(published_dir: Path) -> Pointer | None:
    """Return the pointer that is in force, None before the first promotion."""
    return _read(published_dir / POINTER)


def entry_in_force(published_dir: Path, pointer: Pointer, like: PublishedSnapshot) -> PublishedSnapshot:
    """Return the snapshot of the space and model versions of `like` that was served last and is still on disk.

    Of several snapshots of one day only the history says which came last: their names are hashes.
    """
    for sequence in range(pointer.sequence, 0, -1):
        past = find_past(published_dir, sequence)
        for entry in past.snapshots if past else ():
            same = entry.space_id == like.space_id and entry.consumers == like.consumers
            if same and (published_dir / entry.path).is_dir():
                return entry
    return like


def history_path(published_dir: Path, sequence: int) -> Path:
    """Return where the pointer with a sequence number is kept for ever."""
    return published_dir / HISTORY / f"{sequence:08d}.json"


def find_past(published_dir: Path, sequence: int) -> Pointer | None:
    """Return a pointer that was in force once, None where there was no such one."""
    return _read(history_path(published_dir, sequence))


def read_history(published_dir: Path, sequence: int) -> Pointer:
    """Return a pointer that was in force once.

    Raises:
        MissingArtefact: There was no such pointer.
    """
    pointer = find_past(published_dir, sequence)
    if pointer is None:
        path = history_path(published_dir, sequence)
        raise MissingArtefact(f"expected pointer {sequence} at {path}, found none; `status` lists what was served")
    return pointer


def _read(path: Path) -> Pointer | None:
    try:
        return Pointer.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise AttuneError(
            f"expected a whole pointer at {path}, found {type(error).__name__}: {error}; copy the last whole one of "
            f"{path.parent / HISTORY if path.name == POINTER else path.parent} over it"
        ) from error
