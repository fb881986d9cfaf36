"""Move the pointer: one atomic file replacement under a lock, with every past pointer kept for a rollback.

The pointer is the one truth of what is served. Whatever else says so (`reconcile`) is derived from it.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from training.contracts.errors import AttuneError, MissingArtefact
from training.locks import Lease, lease
from training.registry.ledger import OFFERED, Ledger
from training.registry.pointer import (
    POINTER,
    Pointer,
    PublishedSnapshot,
    entry_in_force,
    find_pointer,
    history_path,
    read_history,
    read_pointer,
)
from training.settings import Settings
from training.storage import sweep, write_json

logger = logging.getLogger(__name__)

POINTER_TIMEOUT_S = 60.0
WITHDRAWN_KEPT = 20


@contextmanager
def publishing_lock(settings: Settings) -> Iterator[None]:
    """Hold the right to write snapshots, and clear what a killed writer left half-written."""
    with lease(settings, settings.published_dir / ".publishing.lock"):
        for leftover in settings.published_dir.glob("*/.dt=*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


@contextmanager
def pointer_lock(settings: Settings) -> Iterator[Lease]:
    """Hold the right to move the pointer, for an instant; a rollback never waits for a snapshot being written."""
    with lease(settings, settings.published_dir / ".pointer.lock", timeout_s=POINTER_TIMEOUT_S) as held:
        yield held


def move(settings: Settings, pointer: Pointer, held: Lease | None = None) -> Pointer:
    """Put `pointer` in force under the next sequence number; call it with the lock held.

    The history is written first: a crash between the two leaves an entry that the next move overwrites. Asking for
    what is already served changes nothing.

    Args:
        settings: Where state lives.
        pointer: What to serve; its `sequence` is that of the pointer that it was made from, 0 for the first one.
        held: The lock, to be confirmed at the last moment.

    Raises:
        AttuneError: The pointer has moved since, or the lock was lost.
    """
    current = find_pointer(settings.published_dir)
    found = current.sequence if current else 0
    if found != pointer.sequence:
        raise AttuneError(
            f"expected pointer {pointer.sequence} to move on from, found {found} at "
            f"{settings.published_dir / POINTER}; another process moved it, run this again"
        )
    if current and _served(current) == _served(pointer):
        return current
    moved = replace(pointer, sequence=found + 1)
    kept = history_path(settings.published_dir, moved.sequence)
    for folder in (settings.published_dir, kept.parent):
        sweep(folder, older_than_s=0)  # only who holds the lock writes here
    write_json(moved.to_dict(), kept)
    if held is not None:
        held.confirm()
    write_json(moved.to_dict(), settings.published_dir / POINTER)
    logger.info("%s: live is now %s of %s", moved.kind, moved.live.space_id, moved.live.partition)
    return moved


def rollback(settings: Settings, to: int | None = None, *, further: bool = False) -> Pointer:
    """Serve what was served before the last promotion, with that space's freshest snapshot; nothing is retrained.

    It reads and moves the pointer alone; `reconcile` brings the ledger and the rest in line. What is left becomes
    legacy, and is promoted again only by a forced promotion. Repeating a rollback changes nothing.

    Args:
        settings: Where state lives.
        to: Sequence of a past pointer to return to exactly; None returns to `previous`.
        further: Go back once more where the last move of the live space was a rollback already.

    Raises:
        MissingArtefact: There is nothing to return to, or its snapshot was removed by retention.
    """
    with pointer_lock(settings) as held:
        current = read_pointer(settings.published_dir)
        if to is None and not further and current.returned is not None:
            logger.info("rolled back from pointer %d already; nothing moved", current.returned)
            return current
        target = _target(settings, current, to)
        live = target.live if to is not None else entry_in_force(settings.published_dir, current, target.live)
        _require(settings, live)
        return move(settings, _returned(current, target, live), held)


def pin_spaces(settings: Settings, pins: Mapping[str, str], snapshots: Mapping[str, PublishedSnapshot]) -> Pointer:
    """Serve each pinned consumer from its own space from now on.

    Args:
        settings: Where state lives.
        pins: The space or the frame of every pinned consumer or team.
        snapshots: The newest snapshot of each pinned space that has one; the others come with the next refresh.
    """
    with pointer_lock(settings) as held:
        current = read_pointer(settings.published_dir)
        pinned = _pinned(current, pins, current.live, current.legacy)
        served = {entry.space_id for entry in (current.live, current.legacy, *pinned) if entry}  # frames come with them
        back = [snapshots[space_id] for space_id in sorted(set(pins.values()) - served) if space_id in snapshots]
        return move(settings, replace(current, kind="pin", reason="", pins=dict(pins), pinned=(*pinned, *back)), held)


def follow(settings: Settings, ledger: Ledger, pointer: Pointer) -> None:
    """Bring the ledger's states and its list of promotions in line with the pointer in force."""
    for sequence in sorted(set(range(1, pointer.sequence + 1)) - ledger.recorded_moves()):
        if history_path(settings.published_dir, sequence).exists():
            past = read_history(settings.published_dir, sequence)
            ledger.record_promotion(sequence, past.kind, past.to_dict())
    served = {entry.space_id: "legacy" for entry in pointer.snapshots} | {pointer.live.space_id: "live"}
    recorded = ledger.space_states()
    live_since = next((ref.partition for ref in ledger.spaces() if ref.space_id == pointer.live.space_id), "")
    for ref in ledger.spaces():
        state = recorded[ref.space_id]
        outlived = state in ("live", "legacy") or (state in OFFERED and ref.partition < live_since)
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
    return _pinned(pointer, ledger.pins(), live, legacy)


def withdrawn(pointer: Pointer, space_id: str, versions: Mapping[str, str]) -> bool:
    """Return whether a rollback has left this space, or these models of the space that is live."""
    left = [entry for entry in pointer.withdrawn if entry.space_id == space_id]
    return any(space_id != pointer.live.space_id or entry.versions == dict(versions) for entry in left)


def _target(settings: Settings, current: Pointer, to: int | None) -> Pointer:
    sequence = current.previous if to is None else to
    if sequence is None:
        raise MissingArtefact(
            f"expected an earlier promotion to return to, found none before pointer {current.sequence} at "
            f"{settings.published_dir / POINTER}; only one space was ever promoted"
        )
    if sequence > current.sequence:
        raise MissingArtefact(f"expected a pointer up to {current.sequence}, found {sequence}; see `status`")
    return read_history(settings.published_dir, sequence)


def _returned(current: Pointer, target: Pointer, live: PublishedSnapshot) -> Pointer:
    left = current.live if current.live.space_id != live.space_id else current.legacy
    legacy = left if left and left.space_id != live.space_id else None
    kept = [entry for entry in (*current.withdrawn, current.live) if not _same_models(entry, live)]
    return replace(
        current,
        kind="rollback",
        previous=target.previous,
        live=live,
        legacy=legacy,
        pinned=_pinned(current, current.pins, live, legacy),
        returned=current.sequence,
        withdrawn=tuple(kept[-WITHDRAWN_KEPT:]),
        reason="",
        frame=target.frame,
    )


def _pinned(
    pointer: Pointer, pins: Mapping[str, str], live: PublishedSnapshot, legacy: PublishedSnapshot | None
) -> tuple[PublishedSnapshot, ...]:
    served = [entry for entry in (live, legacy) if entry]
    names = set(pins.values()) - {name for entry in served for name in (entry.space_id, entry.frame)}
    carrying = [entry for frame, entry in pointer.frames.items() if frame in names]
    return tuple(entry for entry in pointer.snapshots if entry.space_id in names or entry in carrying)


def _same_models(entry: PublishedSnapshot, other: PublishedSnapshot) -> bool:
    return entry.space_id == other.space_id and entry.consumers == other.consumers


def _require(settings: Settings, entry: PublishedSnapshot) -> None:
    if not (settings.published_dir / entry.path).is_dir():
        raise MissingArtefact(
            f"expected the snapshot {entry.path} under {settings.published_dir}, found none (retention removed it); "
            f"promote space {entry.space_id} again"
        )


def _served(pointer: Pointer) -> str:
    """What a reader, a rollback or a promotion makes of a pointer; not what moved it, nor when."""
    return replace(pointer, sequence=0, kind="", reason="").to_json()
