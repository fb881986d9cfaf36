"""Write published snapshots anew without some users, and let the pointer and its history name those in their place.

A snapshot's folder bears a hash of what it holds, so that the rewritten one has a name of its own; the id of its space,
its day and the versions of its models stay. One move of the pointer brings all of them into force.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from serving_export.lookup import Snapshot
from serving_export.packed import Ids, find_rows
from serving_export.pointer_moves import move, pointer_lock, publishing_lock
from serving_export.publish import publish
from serving_export.retention import list_snapshots, remove_folder
from serving_export.sides import map_array
from serving_export.vectors import ConsumerVectors, FrameVectors, SpaceVectors
from training.contracts.artefacts import ModelRef
from training.contracts.partitions import Partition
from training.registry.pointer import Pointer, PublishedSnapshot, find_pointer, history_path, read_history
from training.settings import Settings
from training.storage import folders, write_json

logger = logging.getLogger(__name__)
Renamed = dict[str, PublishedSnapshot]
"""What takes the place of a snapshot, by the path of the old one."""


def erase_snapshots(settings: Settings, user_ids: frozenset[str]) -> Renamed:
    """Replace every snapshot on disk that holds one of the users; cut short anywhere, the next call ends the same.

    Returns:
        What took the place of each; nothing where no snapshot held any of them.
    """
    with publishing_lock(settings):
        renamed = {
            entry.path: _rewritten(settings, entry, user_ids)
            for folder in folders(settings.published_dir)
            for entry in list_snapshots(settings, folder.name)
            if _holds(settings, entry, user_ids)
        }
        if renamed:
            _put_in_force(settings, renamed)
        for path in renamed:
            remove_folder(settings.published_dir / path)
    return renamed


def _put_in_force(settings: Settings, renamed: Renamed) -> None:
    """Move the pointer first: until the old folders go, the history leads to them."""
    with pointer_lock(settings) as held:
        current = find_pointer(settings.published_dir)
        if current is None:
            return
        moved = move(settings, replace(_with_names(current, renamed), kind="erase", reason=""), held)
        for sequence in range(1, moved.sequence + 1):
            path = history_path(settings.published_dir, sequence)
            past = read_history(settings.published_dir, sequence) if path.exists() else None
            if past is not None and (found := _with_names(past, renamed)) != past:
                write_json(found.to_dict(), path)
    logger.info("wrote %d snapshots anew; what was served goes on being served without the erased", len(renamed))


def _with_names(pointer: Pointer, renamed: Renamed) -> Pointer:
    def now(entry: PublishedSnapshot) -> PublishedSnapshot:
        return renamed.get(entry.path, entry)

    return replace(
        pointer,
        live=now(pointer.live),
        legacy=now(pointer.legacy) if pointer.legacy else None,
        pinned=tuple(map(now, pointer.pinned)),
        withdrawn=tuple(map(now, pointer.withdrawn)),
    )


def _holds(settings: Settings, entry: PublishedSnapshot, user_ids: frozenset[str]) -> bool:
    snapshot = Snapshot(settings.published_dir, entry)
    sides = [snapshot.consumer(name).users.ids for name in entry.consumers]
    return any((find_rows(ids, sorted(user_ids)) >= 0).any() for ids in (snapshot.user_ids, *sides))


def _rewritten(settings: Settings, entry: PublishedSnapshot, user_ids: frozenset[str]) -> PublishedSnapshot:
    snapshot = Snapshot(settings.published_dir, entry)
    kept = _others(snapshot.user_ids, user_ids)
    space = SpaceVectors(
        space_id=entry.space_id,
        partition=Partition.parse(entry.partition),
        user_ids=snapshot.user_ids[kept],
        vectors_UZ=snapshot.vectors[kept],
        is_virtual=snapshot.is_virtual[kept] if (snapshot.folder / "is_virtual.npy").exists() else None,
    )
    consumers = [_consumer(snapshot, name, user_ids) for name in entry.consumers]
    frame = _frame(snapshot, kept) if entry.frame else None
    return publish(settings, space, consumers, {**snapshot.manifest["lineage"], "erased_from": entry.path}, frame)


def _frame(snapshot: Snapshot, kept_U: NDArray[np.bool_]) -> FrameVectors:
    """Return a snapshot's frame with the vectors as they are: turned anew they would differ in their last bits."""
    rotation, centre, origin = snapshot.turn
    about = dict(snapshot.manifest["frame"])
    return FrameVectors(
        frame_id=about.pop("frame_id"),
        rotation_ZZ=rotation,
        centre_Z=centre,
        origin_Z=origin,
        item_ids=snapshot.item_ids,
        item_vectors=snapshot.item_vectors,
        about=about,
        framed_UZ=snapshot.framed_vectors[kept_U],
    )


def _consumer(snapshot: Snapshot, name: str, user_ids: frozenset[str]) -> ConsumerVectors:
    consumer, described = snapshot.consumer(name), snapshot.manifest["consumers"][name]
    kept = _others(consumer.users.ids, user_ids)
    return ConsumerVectors(
        model=ModelRef(**{key: described[key] for key in ("consumer", "version", "space_id", "partition")}),
        user_ids=consumer.users.ids[kept],
        item_ids=np.asarray(consumer.items.ids),
        user_vectors=consumer.users.vectors[kept],
        item_vectors_ID=np.asarray(consumer.items.vectors),
        seen_UI=_seen(consumer.folder, len(consumer.users.ids), len(consumer.items.ids))[kept],
    )


def _seen(folder: Path, num_users: int, num_items: int) -> sparse.csr_array:
    indptr, indices = map_array(folder / "user_seen_indptr.npy"), map_array(folder / "user_seen_indices.npy")
    return sparse.csr_array((np.ones(len(indices), np.bool_), indices, indptr), shape=(num_users, num_items))


def _others(ids: Ids, user_ids: frozenset[str]) -> NDArray[np.bool_]:
    """Return bool [N]: whom to keep."""
    kept = np.ones(len(ids), dtype=np.bool_)
    rows = find_rows(ids, sorted(user_ids))
    kept[rows[rows >= 0]] = False
    return kept
