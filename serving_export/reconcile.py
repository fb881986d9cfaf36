"""Bring everything that says what is served in line with the pointer: ledger, online store, MLflow, what is kept.

The pointer is the one commit point; all else is derived from it here, idempotently. So whatever a kill, or a store
that was down, left behind, the next call ends in the same state.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from serving_export.pointer_moves import follow, pin_spaces, pointer_lock
from serving_export.retention import list_snapshots, prune, retain
from serving_export.snapshot_writer import Sources
from training.contracts.partitions import Partition
from training.data.online.guard import served_partition, serving
from training.registry.ledger import Ledger
from training.registry.pointer import Pointer, PublishedSnapshot, find_pointer, history_path, read_history
from training.settings import Settings

logger = logging.getLogger(__name__)

VIEW = "user_embedding"


@dataclass(frozen=True)
class Reconciled:
    """What is served, and why a store could not be brought in line with it, by the store's name."""

    pointer: Pointer | None
    failures: dict[str, Exception] = field(default_factory=dict)

    @property
    def pending(self) -> dict[str, str]:
        """One line for each store that is to be brought in line yet."""
        return {name: " ".join(str(error).split()) for name, error in self.failures.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return what is served and what is pending as JSON values."""
        live = self.pointer.live.to_dict() if self.pointer else None
        return {"sequence": self.pointer.sequence if self.pointer else None, "live": live, "pending": self.pending}


def reconcile(
    settings: Settings, sources: Sources | None = None, *, alone: bool = False, clear: bool = True
) -> Reconciled:
    """Derive every store's state from the pointer; a store that is down is left to the next call, and named.

    Args:
        settings: Where state lives.
        sources: The steps around publishing.
        alone: Whether the caller holds the right to publish: then no other's intent can be under way, and those that
            moved nothing are closed.
        clear: Whether to remove what nothing serves or could return to; a backfill of older days goes on from it.
    """
    sources = sources or Sources()
    failures = _attempt("pins", lambda: _complete_pins(settings))
    pointer = find_pointer(settings.published_dir)
    while pointer is not None:
        failures |= _derive(settings, sources, pointer, alone)
        if clear:
            failures |= _attempt("retention", lambda: _clear(settings, sources))
        newer = find_pointer(settings.published_dir)
        if newer == pointer:
            break
        pointer = newer  # it has moved meanwhile: what was derived may have come after what its mover derived
    return Reconciled(pointer, failures)


def serve_online(settings: Settings, sources: Sources, entry: PublishedSnapshot, *, again: bool = False) -> None:
    """Write a snapshot's vectors into the online store, unless they or newer ones of that space are there."""
    day = Partition.parse(entry.partition)
    with serving(settings, VIEW, entry.space_id, day, entry.path, again=again) as needed:
        if needed:
            sources.materialise(settings, entry, entry.space_id)


def serve_framed(
    settings: Settings, sources: Sources, frame: str, entry: PublishedSnapshot, *, again: bool = False
) -> None:
    """Write a snapshot's framed vectors into the online store, unless they are there.

    Rows of a later day that another space has left there, as after a rollback, are removed first.
    """
    day = Partition.parse(entry.partition)
    served = served_partition(settings, VIEW, frame)
    if served is not None and served > day:
        sources.forget_slot(settings, frame)
    with serving(settings, VIEW, frame, day, entry.path, again=again) as needed:
        if needed:
            sources.materialise(settings, entry, frame)


def newest_snapshots(settings: Settings, spaces: set[str]) -> dict[str, PublishedSnapshot]:
    """Return the newest snapshot on disk of each space that has one."""
    found = {space_id: list_snapshots(settings, space_id) for space_id in sorted(spaces)}
    return {space_id: snapshots[-1] for space_id, snapshots in found.items() if snapshots}


def _derive(settings: Settings, sources: Sources, pointer: Pointer, alone: bool) -> dict[str, Exception]:
    def online() -> None:
        for entry in pointer.snapshots:
            serve_online(settings, sources, entry)
        for frame, entry in pointer.frames.items():
            serve_framed(settings, sources, frame, entry)

    return {
        **_attempt("ledger", lambda: _keep_account(settings, pointer, alone)),
        **_attempt("online store", online),
        **_attempt("MLflow", lambda: sources.announce(settings, pointer)),
    }


def _attempt(name: str, work: Callable[[], None]) -> dict[str, Exception]:
    try:
        work()
    except Exception as error:  # one store that is down must not keep the others back; the caller is told which
        logger.warning("%s is not in line with the pointer yet: %s", name, " ".join(str(error).split()))
        return {name: error}
    return {}


def _complete_pins(settings: Settings) -> None:
    """Carry out a pin or unpin that was recorded and then cut short."""
    pointer, pins = find_pointer(settings.published_dir), Ledger(settings).pins()
    if pointer is not None and pins != pointer.pins:
        pin_spaces(settings, pins, newest_snapshots(settings, set(pins.values())))


def _keep_account(settings: Settings, pointer: Pointer, alone: bool) -> None:
    ledger = Ledger(settings)
    follow(settings, ledger, pointer)
    for intent in ledger.intents("open"):
        if _is_carried_out(settings, pointer, intent):
            ledger.close_intent(intent["sequence"], "done")
        elif alone:
            ledger.close_intent(intent["sequence"], "void")


def _is_carried_out(settings: Settings, pointer: Pointer, intent: dict[str, Any]) -> bool:
    """Return whether a move of the intent's kind has followed on the pointer that it began from."""
    moves = range(intent["pointer"] + 1, pointer.sequence + 1)
    paths = [sequence for sequence in moves if history_path(settings.published_dir, sequence).exists()]
    return any(read_history(settings.published_dir, sequence).kind == intent["kind"] for sequence in paths)


def _clear(settings: Settings, sources: Sources) -> None:
    ledger = Ledger(settings)
    with pointer_lock(settings):
        pointer = find_pointer(settings.published_dir)
        if pointer is None:
            return
        retain(settings, pointer, frozenset(ref.space_id for ref in ledger.spaces_in_use()))
    prune(settings, ledger, pointer)
    sources.forget(settings, pointer)
