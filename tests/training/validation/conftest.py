"""Small frames that keep each boundary's contract, for tests to spoil."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from training.contracts.columns import DBT_FEATURES, EVENT_TIMESTAMP, POOLED_FEATURES, Column, Table
from training.contracts.partitions import Partition

PARTITION = Partition.parse("2026-11-05")
AS_OF = pd.Timestamp(PARTITION.as_of)
USERS = ["ann", "ben", "cem", "dee"]
SPACE = "20261105-1f2e3d4c"


def raw_interactions() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "event_id": ["e1", "e2", "e3", "e4"],
            "user_id": USERS,
            "item_id": ["i1", "i2", "i1", "i3"],
            "event_type": ["view", "click", "rating", "purchase"],
            "event_value": [None, None, 4.0, 9.5],
            "occurred_at": [
                pd.Timestamp(t) for t in ("2026-11-05T08Z", "2026-11-05T09Z", "2026-11-05T23:59Z", "2026-11-03T00Z")
            ],
            "session_id": None,
            "surface": None,
        }
    )


def snapshot(name: str) -> pd.DataFrame:
    """A consistent feature snapshot of four users (or items), every number zero but where it may not be."""
    table = {**DBT_FEATURES, **POOLED_FEATURES}[name]
    frame = pd.DataFrame({column.name: _cells(column, table) for column in table.columns})
    if name == "user_history":
        frame["history_item_ids"] = [["i1", "i2"], ["i1"], [], ["i3"]]
        frame["history_event_types"] = [["view", "click"], ["view"], [], ["view"]]
        times = [["2026-11-01T10:00Z", "2026-11-05T10:00Z"], ["2026-11-04T00Z"], [], ["2026-11-03T00Z"]]
        frame["history_occurred_at"] = [[pd.Timestamp(time) for time in row] for row in times]
    if name == "user_activity":
        frame["share_night_180d"] = [1.0, 0.0, 0.25, 0.0]
        frame["share_evening_180d"] = [0.0, 0.0, 0.75, 1.0]
    return frame


def _cells(column: Column, table: Table) -> list[object]:
    if column.name == EVENT_TIMESTAMP:
        return [AS_OF] * len(USERS)
    if column.name == table.key[0]:
        return list(USERS)
    blank = {"string": "x", "bigint": 0, "double": 0.0, "strings": ["a"], "floats": np.array([0.6, 0.8], np.float32)}
    return [blank.get(column.kind)] * len(USERS)


def embeddings() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user_id": USERS,
            "space_id": SPACE,
            EVENT_TIMESTAMP: AS_OF,
            "vector": [np.array([0.6, 0.8, 0.0], np.float32) for _ in USERS],
        }
    )


def training_set() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user_id": USERS,
            EVENT_TIMESTAMP: AS_OF,
            "tenure_days": [1, 2, 3, 4],
            "recency_days": [0.5, 0.5, 0.5, 0.5],
            "taste_collaborative_7d": [np.array([0.6, 0.8], np.float32) for _ in USERS],
        }
    )


BUILDERS: dict[str, Callable[[], pd.DataFrame]] = {
    "raw_interactions": raw_interactions,
    "training_set": training_set,
    "vectors": embeddings,
    **{name: (lambda name=name: snapshot(name)) for name in (*DBT_FEATURES, *POOLED_FEATURES)},
}


@pytest.fixture
def good_frame() -> Callable[[str], pd.DataFrame]:
    """A frame that passes the suite of that name, for partition 2026-11-05."""
    return lambda suite: BUILDERS[suite]()
