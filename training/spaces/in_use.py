"""Say which spaces are still read, so that their users are pooled and encoded each day."""

from __future__ import annotations

import json

from training.contracts.partitions import Partition
from training.settings import Settings
from training.spaces.item_space import current_item_space


def item_spaces_in_use(settings: Settings, partition: Partition) -> list[str]:
    """Return the item spaces of every served space, and the one that the next retrain will read; sorted."""
    found = {item_space_of(settings, space_id) for space_id in published_spaces(settings)}
    found.add(current_item_space(settings, partition))
    return sorted(name for name in found if name is not None)


def published_spaces(settings: Settings) -> list[str]:
    """Return the spaces that the pointer names: live, legacy, then pinned; none before the first promotion."""
    path = settings.published_dir / "pointer.json"
    if not path.exists():
        return []
    pointer = json.loads(path.read_text(encoding="utf-8"))
    served = [pointer.get("live"), pointer.get("legacy"), *pointer.get("pinned", [])]
    return list(dict.fromkeys(str(snapshot["space_id"]) for snapshot in served if snapshot))


def item_space_of(settings: Settings, space_id: str) -> str | None:
    """Return the item space that a stored space reads; None when the space is gone."""
    path = settings.space_dir(space_id) / "manifest.json"
    return str(json.loads(path.read_text(encoding="utf-8"))["item_space_id"]) if path.exists() else None
