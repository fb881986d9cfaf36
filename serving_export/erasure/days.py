"""Take users out of the days of logs, raw and landed, and out of the warehouse, without making anything count as new.

A landed day names the raw files that it was made of, and the warehouse the landed days; both are told of the files as
they are now. A kill between leaves days that land or are built again, to the same rows.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from serving_export.erasure import parquet_files
from serving_export.erasure.databases import erase_duckdb
from serving_export.erasure.people import OWNER, People
from training.contracts.columns import RAW_INTERACTIONS
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.contracts.tombstones import Tombstones
from training.data import built_days
from training.ingest import reused_ids
from training.ingest.landed_days import RawDays, landed_partitions, manifest_path, read_manifest
from training.ingest.raw_files import read_checked
from training.settings import Settings
from training.storage import PART, exclusive, open_parquet, write_json


def erase_days(settings: Settings, people: People, days: list[Partition] | None = None) -> dict[str, int]:
    """Take the users out of days of logs (None: of all, and of the warehouse), and return how many rows went."""
    with exclusive(settings.warehouse_lock):
        built = built_days.matching_days(settings)
        raw = RawDays.of(settings)
        named = sorted({*raw.days(), *landed_partitions(settings)}) if days is None else days
        counts = [_erase_day(settings, raw, day, people) for day in named]
        found = {"raw": sum(rows for rows, _ in counts), "landed": sum(rows for _, rows in counts)}
        if days is None and settings.warehouse_path.exists():
            found["warehouse"] = erase_duckdb(settings.warehouse_path, people)
        built_days.record_matching(settings, built)
    return {name: count for name, count in found.items() if count}


def late_arrivals(settings: Settings, tombstones: Tombstones) -> dict[Partition, frozenset[str]]:
    """Return the erased users of whom rows lie in raw again, by day: of days yet to land, or that drop some."""
    if not tombstones:
        return {}
    raw = RawDays.of(settings)
    found = {day: _erased_users(raw, day, tombstones) for day in raw.days() if _may_hold_late(settings, raw, day)}
    return {day: users for day, users in found.items() if users}


def _may_hold_late(settings: Settings, raw: RawDays, day: Partition) -> bool:
    manifest = read_manifest(settings, day)
    if manifest is None or manifest.get("erased"):
        return True
    try:
        return bool(manifest["raw"] != raw.fingerprints(day))
    except AttuneError:
        return False  # landing says what is wrong with it


def _erased_users(raw: RawDays, day: Partition, tombstones: Tombstones) -> frozenset[str]:
    users: set[str] = set()
    for path in _files(raw, day):
        if OWNER in pq.read_schema(path).names:
            users |= set(map(str, open_parquet(path).read([OWNER])[OWNER].unique().to_pylist()))
    known = sorted(users)
    return frozenset(user for user, erased in zip(known, tombstones.among(known), strict=True) if erased)


def _files(raw: RawDays, day: Partition) -> list[Path]:
    return [path for table in raw.tables for path in raw.paths(table, day) if path.suffix == ".parquet"]


def _erase_day(settings: Settings, raw: RawDays, day: Partition, people: People) -> tuple[int, int]:
    """Take the users out of a day and return how many rows of raw and of what had landed went."""
    manifest = read_manifest(settings, day)
    was_landed = manifest is not None and not raw.lacks(day) and manifest["raw"] == raw.fingerprints(day)
    from_raw = 0
    for path in _files(raw, day):
        from_raw += parquet_files.erase(path, people)
        if from_raw and not open_parquet(path).metadata.num_rows:
            path.unlink()  # a file without rows would be taken for a broken delivery
    landed = _erase_landed(settings, day, people)
    if was_landed and from_raw:
        _remember(settings, day)
    if was_landed and manifest is not None and (from_raw or landed):
        prints = RawDays.of(settings).fingerprints(day)
        rows = {name: _num_rows(settings, name, day) for name in manifest["rows"]}
        write_json({**manifest, "raw": prints, "rows": rows, "erased": 0}, manifest_path(settings, day))
    return from_raw, landed


def _erase_landed(settings: Settings, day: Partition, people: People) -> int:
    """Hashes of the users' events first: once the events are gone, nobody could tell which those are."""
    interactions = settings.landed_dir(RAW_INTERACTIONS.name) / f"dt={day}" / PART
    if interactions.exists():
        rows = open_parquet(interactions).read()
        reused_ids.forget_events(settings, day, rows.filter(pa.array(parquet_files.own_rows(rows, people))))
    count = 0
    for table in ("interactions", "users"):
        path = settings.landed_dir(table) / f"dt={day}" / PART
        count += parquet_files.erase(path, people) if path.exists() else 0
    return count


def _remember(settings: Settings, day: Partition) -> None:
    """Keep the day's hashes anew: each says in which row of raw its event stands, and the rows have moved up."""
    paths = RawDays.of(settings).paths(RAW_INTERACTIONS.name, day)
    reused_ids.remember(settings, day, read_checked(settings, RAW_INTERACTIONS, day, paths))


def _num_rows(settings: Settings, table: str, day: Partition) -> int:
    path = settings.landed_dir(table) / f"dt={day}" / PART
    return int(open_parquet(path).metadata.num_rows) if path.exists() else 0
