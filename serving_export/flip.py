"""Move the pointer: one atomic file replacement under a lock, with every past pointer kept for a rollback."""

from __future__ import annotations

import fcntl
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from serving_export.pointer import (
    POINTER,
    Pointer,
    PublishedSnapshot,
    find_pointer,
    history_path,
    read_history,
    read_pointer,
)
from serving_export.retention import freshest
from training.contracts.errors import MissingArtefact
from training.settings import Settings
from training.spaces.ledger import Ledger
from training.storage import write_json

logger = logging.getLogger(__name__)


@contextmanager
def publishing_lock(settings: Settings) -> Iterator[None]:
    """Hold the right to write snapshots, and clear what a killed writer left half-written."""
    with _lock(settings, ".publishing.lock"):
        for leftover in settings.published_dir.glob("*/.dt=*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


@contextmanager
def pointer_lock(settings: Settings) -> Iterator[None]:
    """Hold the right to move the pointer, for an instant; a rollback never waits for a snapshot being written."""
    with _lock(settings, ".pointer.lock"):
        yield


def move(settings: Settings, pointer: Pointer) -> Pointer:
    """Put `pointer` in force under the next sequence number; call it with the lock held.

    The history is written first: a crash between the two leaves an entry that the next move overwrites. Asking for
    what is already served changes nothing.
    """
    current = find_pointer(settings.published_dir)
    if current and _served(current) == _served(pointer) and current.previous == pointer.previous:
        return current
    moved = replace(pointer, sequence=current.sequence + 1 if current else 1)
    history = history_path(settings.published_dir, moved.sequence)
    for leftover in [*settings.published_dir.glob(f".{POINTER}.*"), *history.parent.glob(".*.json.*")]:
        leftover.unlink()
    write_json(moved.to_dict(), history)
    write_json(moved.to_dict(), settings.published_dir / POINTER)
    logger.info("%s: live is now %s of %s", moved.kind, moved.live.space_id, moved.live.partition)
    return moved


def rollback(settings: Settings, to: int | None = None) -> Pointer:
    """Serve what was served before the last promotion, with that space's freshest snapshot; nothing is retrained.

    The space that is left becomes legacy, so that promoting it again rolls forward.

    Args:
        settings: Where state lives.
        to: Sequence of a past pointer to return to exactly; None returns to `previous`.

    Raises:
        MissingArtefact: There is nothing to return to, or its snapshot was removed by retention.
    """
    with pointer_lock(settings):
        current = read_pointer(settings.published_dir)
        sequence = current.previous if to is None else to
        if sequence is None:
            raise MissingArtefact(
                f"expected an earlier promotion to return to, found none before pointer {current.sequence} at "
                f"{settings.published_dir / POINTER}; only one space was ever promoted"
            )
        if sequence > current.sequence:
            raise MissingArtefact(f"expected a pointer up to {current.sequence}, found {sequence}; see `status`")
        target = read_history(settings.published_dir, sequence)
        live = target.live if to is not None else freshest(settings, target.live)
        _require(settings, live)
        ledger = Ledger(settings)
        moved = move(settings, _returned(ledger, current, target, live))
        follow(ledger, moved)
    return moved


def follow(ledger: Ledger, pointer: Pointer) -> None:
    """Bring the ledger's states and its list of promotions in line with the pointer in force."""
    ledger.record_promotion(pointer.sequence, pointer.kind, pointer.to_dict())
    served = {entry.space_id: "legacy" for entry in pointer.snapshots} | {pointer.live.space_id: "live"}
    recorded = ledger.space_states()
    live_since = next((ref.partition for ref in ledger.spaces() if ref.space_id == pointer.live.space_id), "")
    for ref in ledger.spaces():
        state = recorded[ref.space_id]
        outlived = state in ("live", "legacy") or (state == "candidate" and ref.partition < live_since)
        wanted = served.get(ref.space_id, "retired" if outlived else state)
        if wanted != state:
            ledger.set_space_state(ref.space_id, wanted)
    _follow_models(ledger, pointer)


def _follow_models(ledger: Ledger, pointer: Pointer) -> None:
    served: dict[tuple[str, str], str] = {}
    for entry in reversed(pointer.snapshots):
        for key in entry.versions.items():
            served[key] = "live" if entry == pointer.live else "legacy"
    for key, state in ledger.model_states().items():
        wanted = served.get(key, "retired" if state in ("live", "legacy") else state)
        if wanted != state:
            ledger.set_model_state(*key, wanted)


def still_pinned(
    ledger: Ledger, pointer: Pointer, live: PublishedSnapshot, legacy: PublishedSnapshot | None
) -> tuple[PublishedSnapshot, ...]:
    """Return the snapshots of `pointer` that a consumer is pinned to, besides the new live and legacy ones."""
    spaces = set(ledger.pins().values()) - {live.space_id, legacy.space_id if legacy else ""}
    return tuple(entry for entry in pointer.snapshots if entry.space_id in spaces)


def _returned(ledger: Ledger, current: Pointer, target: Pointer, live: PublishedSnapshot) -> Pointer:
    left = current.live if current.live.space_id != live.space_id else current.legacy
    legacy = left if left and left.space_id != live.space_id else None
    pinned = still_pinned(ledger, current, live, legacy)
    return Pointer(sequence=0, kind="rollback", previous=target.previous, live=live, legacy=legacy, pinned=pinned)


@contextmanager
def _lock(settings: Settings, name: str) -> Iterator[None]:
    """Hold an exclusive lock; the system takes it back from a process that dies."""
    settings.published_dir.mkdir(parents=True, exist_ok=True)
    with (settings.published_dir / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _require(settings: Settings, entry: PublishedSnapshot) -> None:
    if not (settings.published_dir / entry.path).is_dir():
        raise MissingArtefact(
            f"expected the snapshot {entry.path} under {settings.published_dir}, found none (retention removed it); "
            f"promote space {entry.space_id} again"
        )


def _served(pointer: Pointer) -> tuple[object, ...]:
    return pointer.live, pointer.legacy, pointer.pinned
