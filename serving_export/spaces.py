"""Describe the spaces that are served: what their vectors are, how old, and what may be asked of them."""

from __future__ import annotations

from typing import Any

from serving_export.answers import standing_json
from serving_export.lookup import EmbeddingStore
from serving_export.past_vectors import PastVectors, Source
from training.registry.pointer import Pointer, PublishedSnapshot


def served_spaces(store: EmbeddingStore, past: PastVectors) -> list[dict[str, Any]]:
    """Return the live space, then the others.

    Returns:
        For each its `role`, its standing with the `frame` that it carries and that frame's `residual` (the share of
        the variance that turning leaves; null in the frame's first space), `dimension`, `num_users`, its consumers with
        their versions and numbers, the `losses` of its vectors in fewer bits (empty for a snapshot that was published
        before they were measured), and the days that `history` can read.
    """
    return [_described(store, entry, past) for entry in store.pointer.snapshots]


def _described(store: EmbeddingStore, entry: PublishedSnapshot, past: PastVectors) -> dict[str, Any]:
    snapshot = store.for_space(entry.space_id).snapshot
    manifest = snapshot.manifest
    numbers = ("version", "num_users", "num_items", "num_vectors_per_user", "dimension")
    return {
        "role": _role(store.pointer, entry),
        **standing_json(store.standing(snapshot, entry.frame)),
        "residual": manifest.get("frame", {}).get("residual"),
        "dimension": manifest["dimension"],
        "num_users": manifest["num_users"],
        "losses": manifest.get("losses", {}),
        "consumers": {name: {key: one[key] for key in numbers} for name, one in manifest["consumers"].items()},
        "pinned_by": sorted(name for name, space_id in store.pointer.pins.items() if space_id == entry.space_id),
        "history": [retained.partition for retained in past.retained(Source(entry.space_id))],
    }


def served_frames(store: EmbeddingStore, past: PastVectors) -> list[dict[str, Any]]:
    """Return each served frame with the space that answers for it, its readers, and the days that `history` can read.

    `in_force` marks the one that coming spaces are brought into.
    """
    pointer = store.pointer
    return [
        {
            "frame": frame,
            "in_force": frame == pointer.frame,
            "space_id": entry.space_id,
            "pinned_by": sorted(team for team, name in pointer.pins.items() if name == frame),
            "history": [retained.partition for retained in past.retained(Source(frame=frame))],
        }
        for frame, entry in pointer.frames.items()
    ]


def _role(pointer: Pointer, entry: PublishedSnapshot) -> str:
    if entry == pointer.live:
        return "live"
    return "legacy" if entry == pointer.legacy else "pinned"
