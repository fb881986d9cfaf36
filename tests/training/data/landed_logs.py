"""Landed Parquet that a reader can check by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from training.contracts.columns import RAW_TABLES
from training.settings import Settings
from training.storage import PART, arrow_schema, write_parquet

Row = Mapping[str, Any]


def settings_at(home: Path) -> Settings:
    return Settings.from_env({"ATTUNE_HOME": str(home)})


def land(settings: Settings, table: str, day: str, rows: Iterable[Row]) -> Path:
    """Write one landed arrival day; columns that a row leaves out are null."""
    contract = RAW_TABLES[table]
    full = [{name: row.get(name) for name in contract.column_names} for row in rows]
    path = settings.landed_dir(table) / f"dt={day}" / PART
    write_parquet(pa.Table.from_pylist(full, schema=arrow_schema(contract)), path)
    return path


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def event(event_id: str, user_id: str, item_id: str, occurred_at: str, event_type: str = "view") -> Row:
    return {
        "event_id": event_id,
        "user_id": user_id,
        "item_id": item_id,
        "event_type": event_type,
        "occurred_at": at(occurred_at),
    }


def land_small_log(settings: Settings) -> None:
    """Three arrival days of forty users: a duplicate, a late event, a bot, a silent user, an undeclared item.

    2026-01-01: u00..u37 view i0 and i1 at noon; u00 buys i1 at 13:00. `silent` signed up and never acts.
    2026-01-02: no folder at all.
    2026-01-03: u00's purchase is delivered again; u01's like of 2026-01-01 arrives late; `bot` views i0 300 times.
    """
    noon = [event(f"v{i}-{u:02}", f"u{u:02}", f"i{i}", f"2026-01-01T12:00:0{i}") for u in range(38) for i in range(2)]
    purchase = event("p-00", "u00", "i1", "2026-01-01T13:00:00", "purchase")
    land(settings, "interactions", "2026-01-01", [*noon, purchase])
    late = event("late-01", "u01", "i2", "2026-01-01T23:00:00", "like")
    bot = [event(f"bot-{n}", "bot", "i0", f"2026-01-03T{n // 60:02}:{n % 60:02}:00") for n in range(300)]
    land(settings, "interactions", "2026-01-03", [purchase, late, *bot])
    declared = [{"user_id": f"u{u:02}", "country": "FI", "valid_from": at("2025-12-01")} for u in range(38)]
    silent = {
        "user_id": "silent",
        "signed_up_at": at("2025-12-31T12:00:00"),
        "onboarding_item_ids": ["i0"],
        "valid_from": at("2025-12-31T12:00:00"),
    }
    land(settings, "users", "2026-01-01", [*declared, silent])
    items = [
        {"item_id": "i0", "category": "drama", "title": "Zero", "created_at": at("2025-12-02")},
        {"item_id": "i1", "category": "comedy", "attributes": ["short"]},
    ]
    land(settings, "items", "2026-01-01", items)
