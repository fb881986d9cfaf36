"""Tell which days of logs have arrived."""

from __future__ import annotations

from pathlib import Path

from training.contracts.columns import RAW_INTERACTIONS
from training.contracts.partitions import Partition
from training.settings import Settings
from training.storage import list_partitions, replace_file


def arrived_partitions(settings: Settings) -> list[Partition]:
    """Return the days on which interactions arrived, oldest first; a day without any is not among them."""
    return list_partitions(settings.raw_dir(RAW_INTERACTIONS.name))


def newest_arrived(settings: Settings) -> Partition | None:
    """Return the newest day on which interactions arrived, or None before the first."""
    arrived = arrived_partitions(settings)
    return arrived[-1] if arrived else None


MARKER = "_SUCCESS"


def mark_delivered(folder: Path) -> None:
    """Say that a day's folder of a raw table is whole; written last, and again without change."""
    marker = folder / MARKER
    if not marker.exists():
        with replace_file(marker) as temporary:
            temporary.touch()
