"""Remove snapshots that nothing serves, pins or could roll back to, and what was derived for spaces of the past."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

from serving_export.checksum import MANIFEST
from training.contracts.columns import USER_ONBOARDING, USER_TASTE
from training.contracts.frames import frame_of
from training.contracts.partitions import Partition
from training.data.derived_lock import free_to_remove
from training.registry.ledger import OFFERED, Ledger
from training.registry.pointer import (
    Pointer,
    PublishedSnapshot,
    entry_in_force,
    history_path,
    read_history,
    read_pointer,
)
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
            PublishedSnapshot(
                space_id=space_id,
                partition=manifest["partition"],
                path=relative,
                consumers=models,
                frame=manifest.get("frame", {}).get("frame_id", ""),
            )
        )
    return found


def freshest(settings: Settings, entry: PublishedSnapshot) -> PublishedSnapshot:
    """Return the snapshot of the same space and the same model versions that was served last and is still there."""
    return entry_in_force(settings.published_dir, read_pointer(settings.published_dir), entry)


def retain(settings: Settings, pointer: Pointer, pinned: frozenset[str] = frozenset()) -> list[str]:
    """Remove what is no longer needed and return the removed folders; call it with the pointer's lock held.

    Args:
        settings: Where state lives.
        pointer: The pointer in force.
        pinned: Spaces that a consumer is pinned to.
    """
    targets = rollback_targets(settings, pointer)
    protected = {entry.path for entry in (*pointer.snapshots, *targets)}
    spaces = {entry.space_id for entry in (*pointer.snapshots, *targets)} | pinned
    removed = []
    for folder in sorted(path for path in settings.published_dir.iterdir() if path.is_dir()):
        snapshots = list_snapshots(settings, folder.name)
        kept = {entry.path for entry in snapshots[-KEEP_SNAPSHOTS:]} if folder.name in spaces else set()
        for entry in snapshots:
            if entry.path not in kept | protected:
                remove_folder(settings.published_dir / entry.path)
                logger.info("removed snapshot %s, which nothing serves or could return to", entry.path)
                removed.append(entry.path)
    return removed


def prune(settings: Settings, ledger: Ledger, pointer: Pointer) -> list[str]:
    """Remove what was derived for spaces that nothing reads any more, and return the removed folders.

    These are the embeddings of retired and rejected spaces, and the pooled features and sums of item spaces that no
    kept space reads and no coming retrain starts from. Only what can be made again goes: `encode_partition` and
    `pool_taste` do so. While anything derived is being read nothing goes; the next call sees to it.

    Args:
        settings: Where state lives.
        ledger: Says which spaces are retired or rejected; embeddings of one that it does not know stay.
        pointer: The pointer in force.
    """
    from training.representation.frame import remove_frames

    with free_to_remove(settings) as free:
        if not free:
            logger.info("removed no folders of past spaces: derived files are being read")
            return []
        for leftover in [hidden for parent in _derived(settings) for hidden in parent.glob(".*space=*.removed")]:
            shutil.rmtree(leftover)
        kept = kept_spaces(settings, ledger, pointer)
        unread = [*_unread_embeddings(settings, ledger, kept), *_unread_pools(settings, ledger, pointer, kept)]
        for folder in unread:
            remove_folder(folder)
        frames = remove_frames(settings, kept_frames(settings, ledger, pointer, kept))
    if frames:
        logger.info("removed %s, which nothing reads any more", ", ".join(frames))
    if unread:
        logger.info("removed %d folders that were derived for spaces of the past", len(unread))
    return [str(folder.relative_to(settings.home)) for folder in unread]


def _derived(settings: Settings) -> list[Path]:
    """Return the folders of embeddings, taste, onboarding and sums.

    Taste goes before onboarding: where taste is missing both are pooled again, so a crash between leaves nothing half.
    """
    features = settings.home / "features"
    pooled = [features / table.name for table in (USER_TASTE, USER_ONBOARDING)]
    return [settings.home / "embeddings", *pooled, settings.home / "taste_sums"]


def kept_spaces(settings: Settings, ledger: Ledger, pointer: Pointer) -> set[str]:
    """Return every space that is served or pinned, may yet be promoted, or could be returned to."""
    entries = (*pointer.snapshots, *rollback_targets(settings, pointer))
    in_use = (*ledger.spaces(*OFFERED, "live", "legacy"), *ledger.spaces_in_use())
    return {entry.space_id for entry in entries} | {ref.space_id for ref in in_use}


def kept_frames(settings: Settings, ledger: Ledger, pointer: Pointer, kept: set[str]) -> set[str]:
    """Return the frames that are read or could be returned to, and those that a kept space has begun or may begin."""
    entries = (*pointer.snapshots, *rollback_targets(settings, pointer))
    read = {pointer.frame, *ledger.pins().values(), *(entry.frame for entry in entries)}
    return read | {frame_of(space_id) for space_id in kept}


def _unread_embeddings(settings: Settings, ledger: Ledger, kept: set[str]) -> Iterator[Path]:
    for ref in ledger.spaces("retired", "rejected"):
        folder = settings.home / "embeddings" / f"space={ref.space_id}"
        encodable = (settings.space_dir(ref.space_id) / "manifest.json").exists()
        if ref.space_id not in kept and encodable and folder.is_dir():
            yield folder


def _unread_pools(settings: Settings, ledger: Ledger, pointer: Pointer, kept: set[str]) -> Iterator[Path]:
    """Yield the folders of item spaces that are read no more; one learned after the live day may be in training."""
    from training.registry.in_use import item_space_of
    from training.representation.item_space import item_spaces_in_use

    used: set[str | None] = {*item_spaces_in_use(settings, Partition.parse(pointer.live.partition))}
    used |= {ref.item_space_id for ref in ledger.spaces() if ref.space_id in kept}
    used |= {item_space_of(settings, space_id) for space_id in kept}
    _, *parents = _derived(settings)
    for folder in [folder for parent in parents for folder in sorted(parent.glob("item_space=*"))]:
        item_space_id = folder.name.removeprefix("item_space=")
        manifest = settings.item_space_dir(item_space_id) / "manifest.json"
        if item_space_id in used or not manifest.exists():
            continue
        if json.loads(manifest.read_text(encoding="utf-8"))["partition"] <= pointer.live.partition:
            yield folder


def rollback_targets(settings: Settings, pointer: Pointer) -> list[PublishedSnapshot]:
    """Return the snapshots that `rollback` could serve, one promotion after another."""
    targets: list[PublishedSnapshot] = []
    previous = pointer.previous
    while previous is not None and len(targets) < 2 * KEEP_ROLLBACKS:
        if not history_path(settings.published_dir, previous).exists():
            break
        past = read_history(settings.published_dir, previous)
        targets += [past.live, freshest(settings, past.live)]
        previous = past.previous
    return targets


def remove_folder(folder: Path) -> None:
    """Hide the folder in one step, then delete it: a crash between leaves nothing half that a reader could open."""
    hidden = folder.with_name(f".{folder.name}.removed")
    shutil.rmtree(hidden, ignore_errors=True)
    folder.rename(hidden)
    shutil.rmtree(hidden)
