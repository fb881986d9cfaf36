"""Remember which partition each feature view serves online, so that none ever goes back in time.

Snapshots are complete: serving one whole partition over another is decided once per view (and space), not per row.
What is about to be written is recorded before the write; a write that was cut short is thus repeated or followed
by a newer one, never by an older.
"""

from __future__ import annotations

import json
from pathlib import Path

from training.contracts.partitions import Partition
from training.settings import Settings
from training.storage import write_json

WHOLE_VIEW = ""
"""The slot of a view that has one snapshot per partition; other views have one per (item) space."""


def served_partition(settings: Settings, view: str, slot: str = WHOLE_VIEW) -> Partition | None:
    """Return the newest partition that was materialised for a view's slot, or None."""
    found = _read(settings).get(_key(settings, view, slot))
    return Partition.parse(found) if found else None


def may_serve(settings: Settings, view: str, slot: str, partition: Partition) -> bool:
    """Return whether `partition` is as new as what the slot serves; the same partition may be repeated."""
    served = served_partition(settings, view, slot)
    return served is None or served <= partition


def record_served(settings: Settings, view: str, slot: str, partition: Partition) -> None:
    """Record that the slot serves `partition` from now on."""
    write_json({**_read(settings), _key(settings, view, slot): str(partition)}, _path(settings))


def _key(settings: Settings, view: str, slot: str) -> str:
    return " ".join(part for part in (settings.online_store, view, slot) if part)


def _path(settings: Settings) -> Path:
    return settings.home / "feast" / "served.json"


def _read(settings: Settings) -> dict[str, str]:
    path = _path(settings)
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
