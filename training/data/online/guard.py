"""Remember which partition each feature view serves online, so that none ever goes back in time.

Snapshots are complete: serving one whole partition over another is decided once per view (and space), not per row.
Check, record and write are one step, under one lock per online store. What is about to be written is recorded before
the write; a write that was cut short is thus repeated or followed by a newer one, never by an older.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from training.contracts.partitions import Partition
from training.locks import lease
from training.settings import Settings
from training.storage import write_json

WHOLE_VIEW = ""
"""The slot of a view that has one snapshot per partition; other views have one per (item) space."""


@contextmanager
def writing(settings: Settings) -> Iterator[None]:
    """Hold the right to write to the home's online store."""
    with lease(settings, settings.home / "feast" / ".online.lock"):
        yield


@contextmanager
def serving(
    settings: Settings, view: str, slot: str, partition: Partition, content: str = "", *, again: bool = False
) -> Iterator[bool]:
    """Yield whether the block is to write `partition` into the slot; nobody else writes online meanwhile.

    Args:
        settings: Names the home and the online store.
        view: Name of the feature view.
        slot: The (item) space, or `WHOLE_VIEW`.
        partition: Whose snapshot is to be served; one older than what is served is never written.
        content: Names what would be written; it is left out where that very content was written whole. Without a
            name it is always written.
        again: Write the content even where it was written whole, as after a loss of the online store.
    """
    if content and not again and served_whole(settings, view, slot, partition, content):
        yield False
        return
    with writing(settings):
        if not may_serve(settings, view, slot, partition):
            yield False
            return
        record_served(settings, view, slot, partition)
        yield True
        if content:
            _record(settings, view, slot, f"{partition} {content}")


def served_partition(settings: Settings, view: str, slot: str = WHOLE_VIEW) -> Partition | None:
    """Return the newest partition that was materialised for a view's slot, or None."""
    found = _read(settings).get(_key(settings, view, slot))
    return Partition.parse(found.partition(" ")[0]) if found else None


def served_whole(settings: Settings, view: str, slot: str, partition: Partition, content: str) -> bool:
    """Return whether a slot serves this content of a partition and its write has come to its end."""
    return _read(settings).get(_key(settings, view, slot)) == f"{partition} {content}"


def may_serve(settings: Settings, view: str, slot: str, partition: Partition) -> bool:
    """Return whether `partition` is as new as what the slot serves; the same partition may be repeated."""
    served = served_partition(settings, view, slot)
    return served is None or served <= partition


def record_served(settings: Settings, view: str, slot: str, partition: Partition) -> None:
    """Record that the slot serves `partition` from now on."""
    _record(settings, view, slot, str(partition))


def served_slots(settings: Settings, view: str) -> list[str]:
    """Return the slots of a view that hold rows online, sorted."""
    prefix = _key(settings, view, WHOLE_VIEW) + " "
    return sorted(key.removeprefix(prefix) for key in _read(settings) if key.startswith(prefix))


def forget_slots(settings: Settings, view: str, slots: Sequence[str]) -> None:
    """Record that slots hold no rows any more; call it inside `writing`."""
    gone = {_key(settings, view, slot) for slot in slots}
    with lease(settings, settings.home / "feast" / ".served.lock"):
        write_json({key: value for key, value in _read(settings).items() if key not in gone}, _path(settings))


def _record(settings: Settings, view: str, slot: str, value: str) -> None:
    with lease(settings, settings.home / "feast" / ".served.lock"):
        write_json({**_read(settings), _key(settings, view, slot): value}, _path(settings))


def _key(settings: Settings, view: str, slot: str) -> str:
    return " ".join(part for part in (settings.online_store_name, view, slot) if part)


def _path(settings: Settings) -> Path:
    return settings.home / "feast" / "served.json"


def _read(settings: Settings) -> dict[str, str]:
    path = _path(settings)
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
