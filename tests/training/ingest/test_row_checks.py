from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from training.contracts.columns import RAW_INTERACTIONS, RAW_ITEMS, RAW_USERS, Table
from training.contracts.partitions import Partition
from training.ingest.conversion import convert
from training.ingest.row_checks import MAX_ID_BYTES, REMEDIES, faults, first_of_conflict

DAY = Partition.parse("2026-11-05")


def test_every_fault_has_a_remedy_and_marks_its_rows_alone() -> None:
    rows = {
        "event_id": ["a", "b", "c"],
        "user_id": ["u", None, "u"],
        "item_id": ["i", "i", "i"],
        "event_type": ["view", "view", "warp"],
        "event_value": ["1", "x", None],
        "occurred_at": ["2026-11-05T10:00:00Z", "2026-11-05T10:00:00Z", "2026-11-06T00:00:00Z"],
        "session_id": [None] * 3,
        "surface": [None] * 3,
    }
    converted = {c.name: convert(pa.array(rows[c.name]), c.kind) for c in RAW_INTERACTIONS.columns}
    found = {(f.column, f.reason): f.rows.tolist() for f in faults(RAW_INTERACTIONS, converted, DAY) if f.rows.any()}
    assert found == {
        ("event_value", "wrong type"): [False, True, False],
        ("user_id", "missing required value"): [False, True, False],
        ("occurred_at", "time after the arrival day"): [False, False, True],
        ("event_type", "unknown event type"): [False, False, True],
    }
    assert {reason for _, reason in found} <= set(REMEDIES)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (RAW_INTERACTIONS, "event_id"),
        (RAW_INTERACTIONS, "user_id"),
        (RAW_INTERACTIONS, "item_id"),
        (RAW_USERS, "user_id"),
        (RAW_ITEMS, "item_id"),
    ],
)
def test_an_id_that_no_index_could_hold_is_a_fault(table: Table, column: str) -> None:
    widest = "é" * (MAX_ID_BYTES // 2)
    ids = ["a b|日本", widest, widest + "e", "end\0", "\0", "t\tab", "next\x85line", "del\x7f"]
    converted = {c.name: convert(pa.nulls(len(ids), pa.string()), c.kind) for c in table.columns}
    converted[column] = convert(pa.array(ids), "string")
    found = {f.reason: f.rows.tolist() for f in faults(table, converted, DAY) if f.column == column}
    assert found["id longer than 256 bytes"] == [False, False, True, *[False] * 5]
    assert found["id with a control character"] == [False] * 3 + [True] * 5
    assert set(found) <= set(REMEDIES)


def test_only_repetitions_with_other_content_conflict() -> None:
    rows = pa.table({"event_id": ["a", "b", "a", "a"], "item_id": ["1", "1", "2", "1"]})
    assert (first_of_conflict(RAW_INTERACTIONS, rows) >= 0).tolist() == [False, False, True, False]


def test_users_may_change_over_time_but_not_at_one_moment() -> None:
    early, late = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
    rows = pa.table({"user_id": ["u"] * 3, "valid_from": [early, late, late], "country": ["DE", "FR", "US"]})
    assert first_of_conflict(RAW_USERS, rows).tolist() == [-1, -1, 1]


def test_a_conflict_names_the_first_row_of_its_id_and_no_other_row_has_one() -> None:
    ids = ["b", "a", "b", "c", "a", "a"]
    rows = pa.table({"event_id": ids, "item_id": ["1", "1", "2", "1", "1", "3"]})
    assert first_of_conflict(RAW_INTERACTIONS, rows).tolist() == [-1, -1, 0, -1, -1, 1]
    assert first_of_conflict(RAW_INTERACTIONS, rows.slice(0, 2)).tolist() == [-1, -1]


def _only(table: Table, column: str, values: pa.Array) -> dict[str, list[bool]]:
    """Return by reason the faults of one column; the others hold nulls."""
    kinds = {c.name: c.kind for c in table.columns}
    converted = {name: convert(pa.nulls(len(values), pa.string()), kind) for name, kind in kinds.items()}
    converted[column] = convert(values, kinds[column])
    return {f.reason: f.rows.tolist() for f in faults(table, converted, DAY) if f.column == column}


def test_bytes_that_are_no_utf_8_are_a_fault_of_text_and_what_is_no_number_of_numbers() -> None:
    text = pa.array([b"ok", b"\xff"])
    assert _only(RAW_INTERACTIONS, "surface", text)["text that is not UTF-8"] == [False, True]
    lists = pa.array([[b"ok"], [b"\xff"]])
    assert _only(RAW_ITEMS, "attributes", lists)["text that is not UTF-8"] == [False, True]
    assert _only(RAW_INTERACTIONS, "event_value", pa.array(["1", "x"]))["wrong type"] == [False, True]


def test_an_id_that_says_null_is_missing_and_a_category_of_that_name_is_not() -> None:
    spelled = pa.array(["u", "null", " NaN ", "", "  ", None])
    missing = "missing required value"
    assert _only(RAW_USERS, "user_id", spelled)[missing] == [False, True, True, True, True, True]
    assert _only(RAW_INTERACTIONS, "event_type", spelled)[missing] == [False, False, False, True, True, True]
