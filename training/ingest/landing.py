"""Land raw logs: check every row of each day that has arrived, keep the good ones typed, quarantine the others.

A day lands whole or not at all: its manifest is written last, and a day without one lands again.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.contracts.artefacts import Artefact
from training.contracts.columns import RAW_INTERACTIONS, RAW_TABLES, Table
from training.contracts.errors import AttuneError, MissingArtefact
from training.contracts.partitions import Partition
from training.ingest.arrivals import newest_arrived
from training.ingest.quarantine import counts, require_few, write_quarantine
from training.ingest.raw_files import CheckedRows, fingerprint, raw_files, read_checked
from training.settings import Settings
from training.storage import PART, list_partitions, write_json, write_parquet

logger = logging.getLogger(__name__)
_DAYS_PER_PROGRESS_LINE = 200
_THREADS = 4
"""Landing waits for the disk to confirm each file; several days wait together."""
_CONTRACT_VERSION = 2
"""Raise it when landing judges or types rows otherwise: every day then lands again."""


@dataclass(frozen=True, kw_only=True)
class LandingReport(Artefact):
    """What one landing did.

    Attributes:
        partition: The day asked for.
        landed: Days that landed for the first time.
        relanded: Days that landed again because their raw files had changed.
        rows: Rows landed, by table.
        quarantined: Rows quarantined, by reason.
        notes: What someone should do next, such as a backfill of later days.
    """

    partition: str
    landed: tuple[str, ...]
    relanded: tuple[str, ...]
    rows: dict[str, int]
    quarantined: dict[str, int]
    notes: tuple[str, ...]


def land(settings: Settings, partition: Partition) -> LandingReport:
    """Land every day up to and including `partition` that has not landed or whose raw files changed since.

    Args:
        settings: Where raw and landed lie, and what share of a day's rows may be quarantined.
        partition: The day whose interactions must have arrived; one without any is empty where later ones have.

    Returns:
        Days, rows and reasons; nothing where all had landed.

    Raises:
        MissingArtefact: No interactions arrived on `partition` or later.
        AttuneError: A file is empty, cannot be read or lacks a column; that day has not landed, others may have.
        ContractViolation: More than the allowed share of a day's rows broke the contract; they are in quarantine.
    """
    _require_arrival(settings, partition)
    days = _raw_days(settings, partition)
    before = set(landed_partitions(settings))
    rows: Counter[str] = Counter()
    quarantined: Counter[str] = Counter()
    changed = [day for day in days if _has_changed(settings, day)]
    with ThreadPoolExecutor(_THREADS) as pool:
        landing = pool.map(lambda day: _land_day(settings, day, is_first=day == days[0]), changed)
        for done, manifest in enumerate(landing, start=1):
            rows.update(manifest["rows"])
            quarantined.update(manifest["quarantined"])
            if done % _DAYS_PER_PROGRESS_LINE == 0:
                logger.info("landed %d of %d days, up to %s", done, len(changed), changed[done - 1])
    return LandingReport(
        partition=str(partition),
        landed=tuple(str(day) for day in changed if day not in before),
        relanded=tuple(str(day) for day in changed if day in before),
        rows=dict(rows),
        quarantined=dict(quarantined),
        notes=_notes(changed, max(before, default=None)),
    )


def manifest_path(settings: Settings, partition: Partition) -> Path:
    """Return where a landed day says which raw files it was made of and how many rows landed."""
    return settings.landed_dir("manifests") / f"dt={partition}" / "manifest.json"


def landed_partitions(settings: Settings) -> list[Partition]:
    """Return the days that have landed whole, oldest first."""
    return list_partitions(settings.landed_dir("manifests"))


def _raw_days(settings: Settings, partition: Partition) -> list[Partition]:
    found = {day for name in RAW_TABLES for day in list_partitions(settings.raw_dir(name))}
    return sorted(day for day in found if day <= partition)


def _require_arrival(settings: Settings, partition: Partition) -> None:
    if raw_files(settings, RAW_INTERACTIONS, partition):
        return
    newest = newest_arrived(settings)
    if newest is not None and newest >= partition:
        return  # a day on which nothing happened: what comes after it is here
    raise MissingArtefact(
        f"expected Parquet files in {settings.raw_dir(RAW_INTERACTIONS.name) / f'dt={partition}'}, found none; "
        + (f"the newest day that arrived is {newest}" if newest else "no day has arrived yet: import or simulate logs")
    )


def _has_changed(settings: Settings, day: Partition) -> bool:
    path = manifest_path(settings, day)
    if not path.exists():
        return True
    manifest = json.loads(path.read_text(encoding="utf-8"))
    return bool(manifest["version"] != _CONTRACT_VERSION or manifest["raw"] != _fingerprints(settings, day))


def _fingerprints(settings: Settings, day: Partition) -> dict[str, dict[str, str]]:
    return {name: fingerprint(raw_files(settings, table, day)) for name, table in RAW_TABLES.items()}


def _land_day(settings: Settings, day: Partition, is_first: bool) -> dict[str, Any]:
    raw = _fingerprints(settings, day)
    checked = {
        table: read_checked(settings, table, day, raw_files(settings, table, day)) for table in RAW_TABLES.values()
    }
    _require_rows(settings, day, checked)
    for table, result in checked.items():
        write_quarantine(settings, table, day, result.rejected)
    for table, result in checked.items():
        require_few(settings, table, day, result.rejected, result.num_rows)
    for table, result in checked.items():
        path = settings.landed_dir(table.name) / f"dt={day}" / PART
        if raw[table.name] or is_first:
            write_parquet(result.rows, path)
        else:
            path.unlink(missing_ok=True)
    manifest = {
        "version": _CONTRACT_VERSION,
        "raw": raw,
        "rows": {table.name: int(result.rows.num_rows) for table, result in checked.items()},
        "quarantined": counts([row for result in checked.values() for row in result.rejected]),
    }
    write_json(manifest, manifest_path(settings, day))
    return manifest


def _require_rows(settings: Settings, day: Partition, checked: dict[Table, CheckedRows]) -> None:
    files = raw_files(settings, RAW_INTERACTIONS, day)
    if files and not checked[RAW_INTERACTIONS].num_rows:
        raise AttuneError(
            f"expected interactions of {day} in {', '.join(map(str, files))}, found no rows; "
            "write the day's rows, or remove the files if nothing happened"
        )


def _notes(changed: list[Partition], newest_before: Partition | None) -> tuple[str, ...]:
    if not changed or newest_before is None or changed[0] >= newest_before:
        return ()
    first, last = changed[0], newest_before
    return (
        f"raw logs of {first} changed or arrived after {last} had landed; partitions from {first} to {last} that are "
        f"already built lack them: backfill build_user_features from {first} to {last} with reprocessing",
    )
