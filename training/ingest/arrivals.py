"""Tell which days of logs have arrived: delivered whole, never merely begun."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from training.contracts.columns import RAW_INTERACTIONS, RAW_TABLES
from training.contracts.errors import AttuneError, MissingArtefact
from training.contracts.partitions import Partition
from training.settings import Settings
from training.storage import list_partitions, replace_file

MARKER = "_SUCCESS"
"""The file that Hadoop and Spark write last into a folder; an import writes it too."""
_IN_PROGRESS = re.compile(
    r"temporary|staging|in[-_.]?progress|_copying_|^[._]?te?mp([._-]|$)"
    r"|\.(tmp|temp|part|partial|filepart|crdownload|writing|uploading)$",
    re.I,
)
"""Names under which writers keep what they have not finished."""
_BEGUN, _ENDED = "_started_", "_committed_"
"""What Databricks writes before and after the files of one transaction."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What lies in one folder `raw/<table>/dt=D`.

    Attributes:
        folder: The folder.
        files: Its files of rows by name; hidden names, underscores and unfinished ones are none.
        lacks: What it has and lacks where it has not been delivered whole, else "".
    """

    folder: Path
    files: tuple[str, ...]
    lacks: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether the day has arrived; it may have done so without a file, by its marker alone."""
        return not self.lacks

    @property
    def paths(self) -> list[Path]:
        """Its files of rows."""
        return [self.folder / name for name in self.files]


def mark_delivered(folder: Path, marker: str = MARKER) -> None:
    """Say that a day's folder of a raw table is whole; written last, and again without change."""
    path = folder / marker
    if not path.exists():
        with replace_file(path) as temporary:
            temporary.touch()


def withdraw(settings: Settings, day: Partition) -> None:
    """Say that a day is to be as if it had never been delivered; its raw files must be gone.

    Files that are gone without this word were archived: what landed of them stays.
    """
    path = _withdrawn_dir(settings) / f"dt={day}"
    with replace_file(path) as temporary:
        temporary.touch()


def withdrawn_days(settings: Settings) -> set[Partition]:
    """Return the days that were withdrawn since the last landing."""
    return {Partition.parse(path.name.removeprefix("dt=")) for path in _withdrawn_dir(settings).glob("dt=*")}


def forget_withdrawn(settings: Settings, days: Iterable[Partition]) -> None:
    """Take the word back for days that are landed as they now are."""
    for day in days:
        (_withdrawn_dir(settings) / f"dt={day}").unlink(missing_ok=True)


def deliveries(settings: Settings, table: str) -> dict[Partition, Delivery]:
    """Return what lies below `raw/<table>/`, oldest day first; a folder in which nothing began is left out.

    Raises:
        AttuneError: Something there is no folder of a day.
    """
    names = {day: sorted(os.listdir(folder)) for day, folder in _day_folders(settings, table).items()}
    marker = settings.arrival_marker
    if marker == "auto":
        marker = MARKER if any(MARKER in found for found in names.values()) else "none"
    folder = settings.raw_dir(table)
    found = {day: _delivery(folder / f"dt={day}", names[day], marker) for day in sorted(names)}
    return {day: delivery for day, delivery in found.items() if delivery is not None}


def arrived_partitions(settings: Settings) -> list[Partition]:
    """Return the days whose interactions arrived whole, oldest first; a day without any is not among them.

    Raises:
        AttuneError: Something below `raw/interactions/` is no folder of a day.
    """
    return [day for day, delivery in deliveries(settings, RAW_INTERACTIONS.name).items() if delivery.is_whole]


def newest_arrived(settings: Settings, now: datetime | None = None) -> Partition | None:
    """Return the newest day whose interactions arrived whole, or None before the first.

    A day after tomorrow by the clock is a mistake in a date: it does not make the days before it old.
    """
    arrived = [day for day in arrived_partitions(settings) if not is_far_ahead(day, now)]
    return arrived[-1] if arrived else None


def is_far_ahead(day: Partition, now: datetime | None = None) -> bool:
    """Return whether a day lies after tomorrow, UTC; tomorrow's logs may arrive early from a zone ahead."""
    return day > Partition((now or datetime.now(UTC)).date()).shift(1)


def incomplete(settings: Settings, partition: Partition) -> str:
    """Return what the day's folders lack where something of it was begun and not delivered whole, else ""."""
    found = (deliveries(settings, table).get(partition) for table in RAW_TABLES)
    return "; ".join(delivery.lacks for delivery in found if delivery is not None and delivery.lacks)


def require_arrived(settings: Settings, partition: Partition) -> None:
    """Raise MissingArtefact for a partition later than the newest day that arrived; a home without logs refuses none.

    Raises:
        MissingArtefact: The partition is later; the message names the newest day.
    """
    landed = [day for day in list_partitions(settings.landed_dir("manifests")) if not is_far_ahead(day)]
    newest = max([*landed, *filter(None, [newest_arrived(settings)])], default=None)
    if newest is None or partition <= newest:
        return
    raise MissingArtefact(
        f"expected a partition up to {newest}, the newest day of which logs have arrived in "
        f"{settings.raw_dir(RAW_INTERACTIONS.name)}, found {partition}; name such a day, or deliver this one's logs"
        + (" (days after tomorrow by this machine's clock do not count)" if is_far_ahead(partition) else "")
    )


def _withdrawn_dir(settings: Settings) -> Path:
    return settings.home / "raw" / ".withdrawn"


def _day_folders(settings: Settings, table: str) -> dict[Partition, Path]:
    parent = settings.raw_dir(table)
    if not parent.exists():
        return {}
    return {_day_of(path): path for path in parent.iterdir() if not path.name.startswith((".", "_"))}


def _day_of(path: Path) -> Partition:
    name, _, text = path.name.partition("=")
    if name == "dt" and path.is_dir():
        try:
            return Partition.parse(text)
        except AttuneError:
            pass
    kind = "" if path.is_dir() else ", which is no folder"
    raise AttuneError(
        f"expected folders dt=YYYY-MM-DD alone in {path.parent}, found {path.name}{kind}; "
        "rename it to the day on which its rows arrived, e.g. dt=2026-11-05, or move it away"
    )


def _delivery(folder: Path, names: list[str], marker: str) -> Delivery | None:
    """Read a folder's names; None where nothing of a delivery is there."""
    unfinished = [name for name in names if _IN_PROGRESS.search(name)] + _open_transactions(names)
    files = tuple(name for name in names if not name.startswith((".", "_")) and name not in (*unfinished, marker))
    if marker != "none":
        if marker in names:
            return Delivery(folder=folder, files=files)
        lacks = f"has files but no {marker}: write it last, or set ATTUNE_ARRIVAL_MARKER=none"
    else:
        lacks = f"holds {unfinished[0]}, which is not finished: end or remove it" if unfinished else ""
    if not files and not unfinished:
        return None
    return Delivery(folder=folder, files=files, lacks=f"{folder.parent.name} {folder.name} {lacks}" if lacks else "")


def _open_transactions(names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(_BEGUN) and name.replace(_BEGUN, _ENDED, 1) not in names]
