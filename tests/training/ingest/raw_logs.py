"""Raw Parquet that a reader can check by hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from training.contracts.columns import RAW_INTERACTIONS, RAW_TABLES
from training.contracts.partitions import Partition
from training.settings import Settings
from training.storage import arrow_schema

DAYS = [Partition.parse(f"2025-11-0{day}") for day in range(1, 8)]


def home(path: Path, **settings: str) -> Settings:
    return Settings.from_env({"ATTUNE_HOME": str(path), **settings})


def event(event_id: str, day: Partition, minute: int = 0, **changes: Any) -> dict[str, Any]:
    at = day.starts_at + timedelta(hours=1, minutes=minute)
    given = {"event_id": event_id, "user_id": "u1", "item_id": "i1", "event_type": "click", "occurred_at": at}
    return {**dict.fromkeys(RAW_INTERACTIONS.column_names), **given, **changes}


def events(day: Partition, count: int, prefix: str = "", **changes: Any) -> list[dict[str, Any]]:
    """Return `count` clicks of ten users on seven items, one a minute; ids are `prefix` and a number from 0."""
    return [
        event(f"{prefix}{n}", day, n, **{"user_id": f"u{n % 10}", "item_id": f"i{n % 7}", **changes})
        for n in range(count)
    ]


def deliver(
    settings: Settings,
    day: Partition | str,
    rows: Iterable[dict[str, Any]],
    file: str = "part-0.parquet",
    table: str = "interactions",
) -> Path:
    """Write a file of raw rows; a text names the folder as it is."""
    name = day if isinstance(day, str) else f"dt={day}"
    path = settings.raw_dir(table) / name / file
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([field.with_nullable(True) for field in arrow_schema(RAW_TABLES[table])])
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)
    return path


def landed_ids(settings: Settings, day: Partition) -> list[str]:
    path = settings.landed_dir("interactions") / f"dt={day}" / "part-0.parquet"
    return sorted(pq.ParquetFile(path).read()["event_id"].to_pylist()) if path.exists() else []


def quarantined(settings: Settings, day: Partition) -> list[dict[str, Any]]:
    path = settings.quarantine_dir(day) / "interactions.parquet"
    return pq.ParquetFile(path).read().to_pylist() if path.exists() else []


def everything(settings: Settings) -> dict[str, bytes]:
    """Return every file that landing leaves, by name."""
    paths = [path for folder in ("landed", "quarantine") for path in (settings.home / folder).rglob("*.*")]
    return {str(path.relative_to(settings.home)): path.read_bytes() for path in sorted(paths) if path.is_file()}
