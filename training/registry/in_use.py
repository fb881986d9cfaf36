"""Say which spaces are still read, so that their users are pooled and encoded each day."""

from __future__ import annotations

import json

from training.settings import Settings


def published_spaces(settings: Settings) -> list[str]:
    """Return the spaces that the pointer names: live, legacy, then pinned; none before the first promotion."""
    path = settings.published_dir / "pointer.json"
    if not path.exists():
        return []
    pointer = json.loads(path.read_text(encoding="utf-8"))
    served = [pointer.get("live"), pointer.get("legacy"), *pointer.get("pinned", [])]
    return list(dict.fromkeys(str(snapshot["space_id"]) for snapshot in served if snapshot))


def frame_in_force(settings: Settings) -> str:
    """Return the frame that the pointer names, "" where none has begun."""
    path = settings.published_dir / "pointer.json"
    return str(json.loads(path.read_text(encoding="utf-8")).get("frame", "")) if path.exists() else ""


def item_space_of(settings: Settings, space_id: str) -> str | None:
    """Return the item space that a stored space reads; None when the space is gone."""
    path = settings.space_dir(space_id) / "manifest.json"
    return str(json.loads(path.read_text(encoding="utf-8"))["item_space_id"]) if path.exists() else None
