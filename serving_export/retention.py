"""Remove snapshots that nothing serves, pins or could roll back to."""

from __future__ import annotations

import json
import logging
import shutil

from serving_export.lookup import MANIFEST
from serving_export.pointer import Pointer, PublishedSnapshot, history_path, read_history
from training.settings import Settings

logger = logging.getLogger(__name__)

KEEP_SNAPSHOTS = 3
"""Newest snapshots kept of each space that is served or could be returned to."""
KEEP_ROLLBACKS = 3
"""Promotions that `rollback` can undo one after another."""


def list_snapshots(settings: Settings, space_id: str) -> list[PublishedSnapshot]:
    """Return the whole snapshots of a space on disk, oldest partition first."""
    found = []
    for path in sorted((settings.published_dir / space_id).glob(f"dt=*/{MANIFEST}")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        models = {
            name: {"version": model["version"], "space_id": model["space_id"]}
            for name, model in manifest["consumers"].items()
        }
        relative = str(path.parent.relative_to(settings.published_dir))
        found.append(
            PublishedSnapshot(space_id=space_id, partition=manifest["partition"], path=relative, consumers=models)
        )
    return found


def freshest(settings: Settings, entry: PublishedSnapshot) -> PublishedSnapshot:
    """Return the newest snapshot on disk of the same space and the same model versions."""
    same = [s for s in list_snapshots(settings, entry.space_id) if s.consumers == entry.consumers]
    newer = [s for s in same if s.partition > entry.partition]
    return newer[-1] if newer else entry


def retain(settings: Settings, pointer: Pointer, pinned: frozenset[str] = frozenset()) -> list[str]:
    """Remove what is no longer needed and return the removed folders; call it with the pointer's lock held.

    Args:
        settings: Where state lives.
        pointer: The pointer in force.
        pinned: Spaces that a consumer is pinned to.
    """
    targets = _rollback_targets(settings, pointer)
    protected = {entry.path for entry in (*pointer.snapshots, *targets)}
    spaces = {entry.space_id for entry in (*pointer.snapshots, *targets)} | pinned
    removed = []
    for folder in sorted(path for path in settings.published_dir.iterdir() if path.is_dir()):
        snapshots = list_snapshots(settings, folder.name)
        kept = {entry.path for entry in snapshots[-KEEP_SNAPSHOTS:]} if folder.name in spaces else set()
        for entry in snapshots:
            if entry.path not in kept | protected:
                _remove(settings, entry)
                removed.append(entry.path)
    return removed


def _rollback_targets(settings: Settings, pointer: Pointer) -> list[PublishedSnapshot]:
    targets: list[PublishedSnapshot] = []
    previous = pointer.previous
    while previous is not None and len(targets) < 2 * KEEP_ROLLBACKS:
        if not history_path(settings.published_dir, previous).exists():
            break
        past = read_history(settings.published_dir, previous)
        targets += [past.live, freshest(settings, past.live)]
        previous = past.previous
    return targets


def _remove(settings: Settings, entry: PublishedSnapshot) -> None:
    """Hide the folder in one step, then delete it: a crash between leaves no half snapshot that a reader could open."""
    folder = settings.published_dir / entry.path
    hidden = folder.with_name(f".{folder.name}.removed")
    shutil.rmtree(hidden, ignore_errors=True)
    folder.rename(hidden)
    shutil.rmtree(hidden)
    logger.info("removed snapshot %s, which nothing serves or could return to", entry.path)
