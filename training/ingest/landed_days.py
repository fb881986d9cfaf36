"""Know which days have landed, from which raw files, and which no longer match what has arrived."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.contracts.columns import RAW_INTERACTIONS, RAW_TABLES
from training.contracts.errors import AttuneError, MissingArtefact
from training.contracts.partitions import Partition
from training.ingest.arrivals import Delivery, deliveries, is_far_ahead, withdrawn_days
from training.ingest.raw_files import fingerprint
from training.settings import Settings
from training.storage import list_partitions

CONTRACT_VERSION = 3
"""Raise it when landing judges or types rows otherwise: every day then lands again."""


@dataclass(frozen=True)
class RawDays:
    """What lies in the raw folders, by table and day."""

    tables: Mapping[str, Mapping[Partition, Delivery]]

    @classmethod
    def of(cls, settings: Settings) -> RawDays:
        """Return what lies in a home's raw folders now.

        Raises:
            AttuneError: Something there is no folder of a day.
        """
        return cls({name: deliveries(settings, name) for name in RAW_TABLES})

    def days(self, until: Partition | None = None) -> list[Partition]:
        """Return the days of which anything was begun, oldest first."""
        found = {day for table in self.tables.values() for day in table}
        return sorted(day for day in found if until is None or day <= until)

    def lacks(self, day: Partition) -> str:
        """Return what keeps a day from having been delivered whole, "" where nothing does."""
        found = (table[day].lacks for table in self.tables.values() if day in table)
        return "; ".join(lacks for lacks in found if lacks)

    def paths(self, table: str, day: Partition) -> list[Path]:
        """Return the files of one table and day; none where it has no such day."""
        return self.tables[table][day].paths if day in self.tables[table] else []

    def fingerprints(self, day: Partition) -> dict[str, dict[str, str]]:
        """Return a day's content hash by table and file."""
        return {name: fingerprint(self.paths(name, day)) for name in self.tables}


def manifest_path(settings: Settings, partition: Partition) -> Path:
    """Return where a landed day says which raw files it was made of and how many rows landed."""
    return settings.landed_dir("manifests") / f"dt={partition}" / "manifest.json"


def landed_partitions(settings: Settings) -> list[Partition]:
    """Return the days that have landed whole, oldest first."""
    return list_partitions(settings.landed_dir("manifests"))


def read_manifest(settings: Settings, day: Partition) -> dict[str, Any] | None:
    """Return what a landed day was made of, or None."""
    path = manifest_path(settings, day)
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def judged_as_now(settings: Settings, manifest: Mapping[str, Any] | None) -> bool:
    """Return whether a day landed under the contract and the event key that hold now."""
    return manifest is not None and (manifest["version"], manifest.get("event_key")) == (
        CONTRACT_VERSION,
        settings.event_key,
    )


def require_landed(settings: Settings, partition: Partition) -> None:
    """Refuse a day that lies in raw and has not landed: what is built of it would silently lack its rows.

    Raises:
        MissingArtefact: It has not landed; the message names the job to run.
    """
    found = deliveries(settings, RAW_INTERACTIONS.name).get(partition)
    if found is None or manifest_path(settings, partition).exists():
        return
    raise MissingArtefact(
        f"expected {partition} to have landed, found no {manifest_path(settings, partition)} though its logs lie in "
        f"{found.folder}; run land_partition for {partition} and mend what it names"
    )


def late_days(settings: Settings) -> list[dict[str, str]]:
    """Return the days whose raw files do not match what landed of them, though they or later days have landed.

    Only days with a file that came after the landing are hashed, so that asking is cheap.

    Returns:
        By day: `partition`, `reason`, and the `command` that takes its files in.

    Raises:
        AttuneError: Something in a raw folder is no folder of a day.
    """
    landed = landed_partitions(settings)
    if not landed:
        return []
    raw, until = RawDays.of(settings), landed[-1]
    reasons = {day: _late(settings, raw, day) for day in sorted({*raw.days(until), *landed}) if not is_far_ahead(day)}
    command = f"python -m training.jobs land_partition --partition {_newest(raw, until)}"
    return [{"partition": str(day), "reason": reason, "command": command} for day, reason in reasons.items() if reason]


def _late(settings: Settings, raw: RawDays, day: Partition) -> str:
    manifest = read_manifest(settings, day)
    if lacks := raw.lacks(day):
        return lacks
    if manifest is None:
        return "has arrived and has not landed"
    paths = {name: raw.paths(name, day) for name in raw.tables}
    if not any(day in table for table in raw.tables.values()):
        return "was withdrawn, its rows are still landed" if day in withdrawn_days(settings) else ""
    names = {name: sorted(path.name for path in found) for name, found in paths.items()}
    if names != {name: sorted(files) for name, files in manifest["raw"].items()}:
        return "has other raw files than landed"
    landed_at = manifest_path(settings, day).stat().st_mtime
    try:
        touched = any(path.stat().st_ctime > landed_at for found in paths.values() for path in found)
        changed = touched and raw.fingerprints(day) != manifest["raw"]
    except (AttuneError, OSError) as error:
        return str(error)
    return "its raw files changed after it landed" if changed else ""


def _newest(raw: RawDays, until: Partition) -> Partition:
    """The newest day that can be landed again: naming it takes in every day before it."""
    whole = [day for day, found in raw.tables[RAW_INTERACTIONS.name].items() if found.is_whole and day <= until]
    return whole[-1] if whole else until
