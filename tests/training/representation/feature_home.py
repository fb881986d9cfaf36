"""Write the feature snapshots of a small log straight to disk, as dbt's export would leave them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from training.contracts.columns import DBT_FEATURES, EVENT_TIMESTAMP, INTERACTIONS, Column, Table
from training.contracts.partitions import Partition
from training.settings import Settings
from training.storage import PART, arrow_schema, write_parquet

_BLANK = {"string": "unknown", "bigint": 0, "double": 0.0, "strings": [], "timestamps": []}


@dataclass
class FeatureHome:
    """A home with clean facts and snapshots; profiles and item attributes are given, activity is counted."""

    settings: Settings
    events: list[dict[str, Any]] = field(default_factory=list)
    profiles: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    items: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def add(self, user_id: str, item_id: str, occurred_at: datetime, arrived: Partition | None = None) -> None:
        """Note one event; it arrives on its own day unless told otherwise."""
        day = arrived or Partition(occurred_at.date())
        self.events.append(
            {
                "event_id": f"e{len(self.events):05}",
                "user_id": user_id,
                "item_id": item_id,
                "event_type": "view",
                "event_value": None,
                "weight": 1.0,
                "occurred_at": occurred_at,
                "arrived_at": day.starts_at,
                "session_key": f"{user_id}-{occurred_at.date()}",
            }
        )
        self.profiles.setdefault(user_id, {})
        self.items.setdefault(item_id, {})

    def write_interactions(self, first: Partition, last: Partition) -> None:
        """Write one file per arrival day, empty days included."""
        for offset in range((last.day - first.day).days + 1):
            day = first.shift(offset)
            rows = sorted(
                (e for e in self.events if e["arrived_at"] == day.starts_at),
                key=lambda e: (e["occurred_at"], e["user_id"], e["event_id"]),
            )
            self._write(INTERACTIONS, rows, day)

    def write_snapshots(self, partition: Partition) -> None:
        """Write every dbt feature table as of a partition."""
        known = [e for e in self.events if e["arrived_at"] <= partition.starts_at]
        users = sorted(self.profiles)
        for table in DBT_FEATURES.values():
            keys = users if table.key == ("user_id",) else sorted(self.items)
            facts = self.profiles if table.key == ("user_id",) else self.items
            rows = [_row(table, key, partition, facts[key]) for key in keys]
            if table.name == "user_activity":
                _count_events(rows, known)
            self._write(table, rows, partition)

    def _write(self, table: Table, rows: list[dict[str, Any]], partition: Partition) -> None:
        path = self.settings.features_dir(table.name, partition) / PART
        write_parquet(pa.Table.from_pylist(rows, schema=arrow_schema(table)), path)


def _row(table: Table, key: str, partition: Partition, facts: Mapping[str, Any]) -> dict[str, Any]:
    row = {column.name: facts.get(column.name, _blank(column)) for column in table.columns}
    return row | {table.key[0]: key, EVENT_TIMESTAMP: partition.as_of}


def _blank(column: Column) -> object:
    return _BLANK.get(column.kind)


def _count_events(rows: list[dict[str, Any]], known: Iterable[Mapping[str, Any]]) -> None:
    counts: dict[str, int] = {}
    for event in known:
        counts[event["user_id"]] = counts.get(event["user_id"], 0) + 1
    for row in rows:
        row["count_events_all"] = row["count_view_180d"] = counts.get(row["user_id"], 0)


def feature_home(home: Path) -> FeatureHome:
    return FeatureHome(Settings.from_env({"ATTUNE_HOME": str(home)}))


def two_tastes(home: Path, num_users: int = 60, num_days: int = 24, last: str = "2026-03-24") -> FeatureHome:
    """Users of two kinds who each meet items of their own kind, with a tenth of noise; cold users only pick."""
    world, generator = feature_home(home), np.random.default_rng(5)
    end = Partition.parse(last)
    items = [f"i{n:02}" for n in range(40)]
    for n, item_id in enumerate(items):
        kind = "north" if n < 20 else "south"
        world.items[item_id] = {"category": kind, "title": f"{kind} story {n}", "attributes": [f"shelf{n % 4}"]}
    for n in range(num_users):
        kind, user_id = n % 2, f"u{n:03}"
        world.profiles[user_id] = {
            "country": ("FI", "PT")[kind],
            "age_band": f"band{n % 3}",
            "onboarding_item_ids": [items[20 * kind + n % 20]] if n % 3 else [],
        }
        for _ in range(num_days):
            own = generator.random() > 0.1
            item = items[20 * (kind if own else 1 - kind) + int(generator.integers(20))]
            day = int(generator.integers(num_days))
            world.add(
                user_id, item, end.starts_at - timedelta(days=day) + timedelta(hours=float(generator.random() * 23))
            )
    for n in range(4):
        world.profiles[f"cold{n}"] = {"country": "FI", "onboarding_item_ids": [items[n]]}
    world.write_interactions(end.shift(1 - num_days), end)
    return world
