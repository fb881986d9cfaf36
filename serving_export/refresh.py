"""Publish a partition's vectors of every space that is served: live, legacy and pinned. Nothing is trained."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from serving_export.pointer_moves import move, pointer_lock, publishing_lock
from serving_export.reconcile import reconcile, serve_framed, serve_online
from serving_export.retention import list_snapshots
from serving_export.snapshot_writer import Sources, write_snapshot
from training.contracts.artefacts import ModelRef
from training.contracts.frames import is_frame
from training.contracts.partitions import Partition
from training.registry.ledger import Ledger
from training.registry.pointer import Pointer, PublishedSnapshot, find_pointer, read_pointer
from training.settings import Settings

logger = logging.getLogger(__name__)


def refresh_embeddings(
    settings: Settings, partition: Partition, sources: Sources | None = None, *, accept_loss: str = ""
) -> dict[str, Any]:
    """Encode, validate and publish a partition for each served space, then move the pointer once.

    A partition older than what a space already serves is not published over it. A space other than the live one that
    cannot be encoded keeps its last snapshot; the live one is published all the same, and the error is raised then.

    Args:
        settings: Where state lives.
        partition: Whose users.
        sources: The steps around publishing.
        accept_loss: Why users that are served may be missing from now on; kept in the ledger. Empty refuses a loss.

    Returns:
        `refreshed` and `kept` spaces with their partitions, the pointer's `sequence`, and the `reason` where nothing
        was done.

    Raises:
        ContractViolation: Vectors must not be served; the last good snapshot goes on being served.
    """
    sources = sources or Sources()
    if find_pointer(settings.published_dir) is None:
        return {"refreshed": {}, "kept": {}, "sequence": None, "reason": "no space is live yet; promote one first"}
    with publishing_lock(settings):
        reconcile(settings, sources, alone=True, clear=False)
        ledger = Ledger(settings)
        ledger.record_intent("refresh", str(partition), read_pointer(settings.published_dir).sequence, accept_loss)
        fresh, failures = _publish_all(settings, sources, ledger, partition, bool(accept_loss))
        for entry in fresh.values():
            sources.carry(settings, entry)
        moved = _serve(settings, ledger, fresh, accept_loss)
        written = _write_online(settings, sources, moved, fresh)
        done = reconcile(settings, sources, alone=True, clear=bool(fresh))
    for error in (*written, *failures):
        raise error
    kept = {entry.space_id: entry.partition for entry in moved.snapshots if entry.space_id not in fresh}
    refreshed = {space_id: entry.partition for space_id, entry in fresh.items()}
    report = {"refreshed": refreshed, "kept": kept, "sequence": moved.sequence, "reason": ""}
    return {**report, "pending": done.pending}


def served_or_pinned(settings: Settings, ledger: Ledger, pointer: Pointer) -> list[PublishedSnapshot]:
    """Return the snapshot in force of every space to keep fresh; a space pinned after it retired comes back.

    A pinned space of which no snapshot is left has an empty `path` and partition: it is to be encoded anew.
    """
    pins = set(ledger.pins().values())
    carrying = [entry for frame, entry in pointer.frames.items() if frame in pins]
    kept = [pointer.live, pointer.legacy, *carrying]
    entries = [entry for entry in pointer.snapshots if entry in kept or entry.space_id in pins]
    for space_id in sorted(name for name in pins - {entry.space_id for entry in entries} if not is_frame(name)):
        on_disk = list_snapshots(settings, space_id)
        entries.append(on_disk[-1] if on_disk else PublishedSnapshot(space_id=space_id, partition="", path=""))
    return entries


def models_of(entry: PublishedSnapshot) -> list[ModelRef]:
    """Return the models whose vectors a snapshot carries."""
    return [
        ModelRef(consumer=name, version=model["version"], space_id=model["space_id"], partition=entry.partition)
        for name, model in sorted(entry.consumers.items())
    ]


def _publish_all(
    settings: Settings, sources: Sources, ledger: Ledger, partition: Partition, may_lose: bool
) -> tuple[dict[str, PublishedSnapshot], list[Exception]]:
    fresh: dict[str, PublishedSnapshot] = {}
    failures: list[Exception] = []
    pointer = read_pointer(settings.published_dir)
    for entry in served_or_pinned(settings, ledger, pointer):
        if entry.partition > str(partition):
            logger.info("space %s already serves %s; %s is not served", entry.space_id, entry.partition, partition)
            continue
        try:
            since = entry if entry.path and not may_lose else None
            models = models_of(entry)
            frame = sources.turn(settings, entry.frame, entry.space_id, partition) if entry.frame else None
            fresh[entry.space_id] = write_snapshot(settings, sources, entry.space_id, partition, models, since, frame)
        except (
            Exception
        ) as error:  # whatever is wrong with an older space, the live one is published, then it is raised
            if entry == pointer.live:
                raise
            logger.error("space %s keeps serving %s: %s", entry.space_id, entry.partition or "nothing", error)
            failures.append(error)
    return fresh, failures


def _serve(settings: Settings, ledger: Ledger, fresh: dict[str, PublishedSnapshot], reason: str) -> Pointer:
    """Move the pointer to the fresh snapshots, unless a promotion or a newer refresh has come between."""
    with pointer_lock(settings) as held:
        current = read_pointer(settings.published_dir)

        def newest(entry: PublishedSnapshot) -> PublishedSnapshot:
            new = fresh.get(entry.space_id, entry)
            same = new.consumers == entry.consumers and new.frame == entry.frame
            fits = same and new.partition >= entry.partition
            return new if fits else entry

        kept = {current.live.space_id} | ({current.legacy.space_id} if current.legacy else set())
        pinned = [e for e in served_or_pinned(settings, ledger, current) if e.space_id not in kept]
        return move(
            settings,
            replace(
                current,
                kind="refresh",
                reason=reason,
                live=newest(current.live),
                legacy=newest(current.legacy) if current.legacy else None,
                pinned=tuple(served for served in map(newest, pinned) if served.path),
                pins=ledger.pins(),
            ),
            held,
        )


def _write_online(
    settings: Settings, sources: Sources, moved: Pointer, fresh: dict[str, PublishedSnapshot]
) -> list[Exception]:
    """Write online what this refresh has served, even where it is there: it may have been lost there since."""
    failures: list[Exception] = []
    for entry in moved.snapshots:
        if fresh.get(entry.space_id) != entry:
            continue
        try:
            serve_online(settings, sources, entry, again=True)
            if entry.frame and moved.frames[entry.frame] == entry:
                serve_framed(settings, sources, entry.frame, entry, again=True)
        except Exception as error:  # the vectors are served all the same; the caller is told
            failures.append(error)
    return failures
