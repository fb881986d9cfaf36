"""Equal events have equal hashes, and what a row says decides, not how it is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from tests.training.ingest.raw_logs import DAYS, event
from training.contracts.columns import RAW_INTERACTIONS
from training.ingest.event_hashes import hashed_contents, hashed_ids
from training.storage import arrow_schema

SCHEMA = arrow_schema(RAW_INTERACTIONS)
PINNED = [7869353157402288317, 16908809132758853863]


def rows(*changes: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([{**event("x", DAYS[0]), **change} for change in changes], schema=SCHEMA)


def test_the_hash_of_an_id_never_changes() -> None:
    """Days that landed years apart are compared: these numbers were written down when they were first computed."""
    assert hashed_ids(rows({}, {"event_id": "é"})).tolist() == PINNED


def test_each_column_but_the_id_tells_contents_apart() -> None:
    different = [
        {},
        {"user_id": "u2"},
        {"item_id": "i2"},
        {"event_type": "view"},
        {"event_value": 0.0},
        {"event_value": 1.0},
        {"session_id": ""},
        {"surface": ""},
        {"surface": "nan"},
        {"occurred_at": DAYS[1].starts_at},
    ]
    assert len(np.unique(hashed_contents(rows(*different)))) == len(different)
    assert len(np.unique(hashed_contents(rows({}, {"event_id": "y"})))) == 1
    assert len(np.unique(hashed_contents(rows({"event_value": 0.0}, {"event_value": -0.0})))) == 1


def test_chunks_do_not_show() -> None:
    whole = rows({"surface": "a"}, {"surface": None}, {"surface": "b"})
    parts = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    assert hashed_contents(parts).tolist() == hashed_contents(whole).tolist()
    assert hashed_ids(parts).tolist() == hashed_ids(whole).tolist()


def test_no_rows_have_no_hashes() -> None:
    assert len(hashed_ids(SCHEMA.empty_table())) == len(hashed_contents(SCHEMA.empty_table())) == 0
