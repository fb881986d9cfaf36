"""Serve online what the snapshots hold, bit for bit, and nothing of spaces that are read no more."""

from __future__ import annotations

from serving_export.packed import unpack_ids
from serving_export.snapshot import Snapshot
from training.registry.ledger import OFFERED, Ledger
from training.registry.pointer import Pointer, PublishedSnapshot
from training.settings import Settings


def write_online(settings: Settings, entry: PublishedSnapshot, slot: str) -> None:
    """Write a snapshot's vectors online: under the key of its space, or framed under that of its frame."""
    from training.data.online.space_rows import write_vectors

    snapshot = Snapshot(settings.published_dir, entry)
    vectors = snapshot.framed_vectors if slot == entry.frame else snapshot.vectors
    write_vectors(settings, slot, snapshot.as_of, unpack_ids(snapshot.user_ids), vectors)


def forget_retired(settings: Settings, pointer: Pointer) -> None:
    """Remove the online rows of spaces that are neither served nor offered, and of item spaces that were pruned."""
    for view, retired in retired_online(settings, pointer).items():
        from training.data.online.space_rows import forget_spaces  # pandas: only where there is something to remove

        forget_spaces(settings, view, retired)


def retired_online(settings: Settings, pointer: Pointer) -> dict[str, list[str]]:
    """Return, by view, the spaces that have rows online and should have none."""
    from training.contracts.columns import POOLED_FEATURES, USER_EMBEDDING
    from training.data.online.guard import served_slots

    served = {entry.space_id for entry in pointer.snapshots} | set(pointer.frames)
    offered = {ref.space_id for ref in Ledger(settings).spaces(*OFFERED)}
    found = {USER_EMBEDDING.name: sorted(set(served_slots(settings, USER_EMBEDDING.name)) - served - offered)}
    for view in POOLED_FEATURES:
        features = settings.home / "features" / view
        slots = served_slots(settings, view)
        found[view] = [slot for slot in slots if not (features / f"item_space={slot}").is_dir()]
    return {view: spaces for view, spaces in found.items() if spaces}
