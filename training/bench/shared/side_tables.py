"""Read what a folder of public logs, or a simulated home, tells of users and items besides who interacted with what."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from training.contracts.columns import RAW_ITEMS, RAW_USERS
from training.ingest import movielens, recbole
from training.settings import Settings
from training.storage import PART, list_partitions


@dataclass(frozen=True)
class SideTables:
    """Rows in contract columns, one per user and one per item; None where nothing is told."""

    users: pa.Table | None = None
    items: pa.Table | None = None

    @property
    def content_hash(self) -> str:
        """12 hex digits; results are cached by it."""
        rows = [None if table is None else table.to_pydict() for table in (self.users, self.items)]
        return hashlib.sha256(json.dumps(rows, sort_keys=True, default=str).encode()).hexdigest()[:12]


def read_side_tables(folder: Path) -> SideTables:
    """Return those of a folder in MovieLens' or RecBole's layout; of another, none."""
    return SideTables(**(movielens.read_sides(folder) or recbole.read_sides(folder)))


def simulated_side_tables(home: Settings) -> SideTables:
    """Return the profiles of simulated users at sign-up, and the whole simulated catalogue."""
    return SideTables(_first_rows(home, RAW_USERS.name, "user_id"), _first_rows(home, RAW_ITEMS.name, "item_id"))


def _first_rows(home: Settings, table: str, key: str) -> pa.Table:
    folder = home.raw_dir(table)
    paths = [folder / f"dt={day}" / PART for day in list_partitions(folder)]
    rows = pa.concat_tables([pq.read_table(path, partitioning=None) for path in paths])
    return rows.filter(pa.array(~pd.Series(rows[key].to_pylist()).duplicated()))
