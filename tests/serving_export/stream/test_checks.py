"""A streamed row is judged as a landed one, and by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving_export.stream.checks import NO_ROW, check_rows, parse
from serving_export.stream.entries import Entry
from training.contracts.columns import RAW_INTERACTIONS, RAW_USERS
from training.contracts.partitions import Partition
from training.ingest import row_checks
from training.ingest.raw_files import read_checked
from training.settings import Settings

DAY = Partition.parse("2026-02-13")
GOOD: dict[str, Any] = {
    "event_id": "e1", "user_id": "u", "item_id": "i", "event_type": "click", "event_value": 2,
    "occurred_at": "2026-02-13T10:00:00Z",
}  # fmt: skip
FAULTS = [
    ({"user_id": " "}, row_checks.MISSING_VALUE, "user_id"),
    ({"user_id": None}, row_checks.MISSING_VALUE, "user_id"),
    ({"item_id": "nan"}, row_checks.MISSING_VALUE, "item_id"),
    ({"occurred_at": None}, row_checks.MISSING_VALUE, "occurred_at"),
    ({"occurred_at": "yesterday"}, row_checks.WRONG_TYPE, "occurred_at"),
    ({"occurred_at": "2026-02-14T00:00:00Z"}, row_checks.FUTURE_TIME, "occurred_at"),
    ({"event_type": "gaze"}, row_checks.UNKNOWN_EVENT_TYPE, "event_type"),
    ({"event_value": "many"}, row_checks.WRONG_TYPE, "event_value"),
    ({"user_id": "u" * 300}, row_checks.LONG_ID, "user_id"),
    ({"event_id": "a\tb"}, row_checks.CONTROL_CHARACTER, "event_id"),
]
ONLY_JSON = [
    ({"user_id": {"a": 1}}, row_checks.NOT_UTF8, "user_id"),
    ({"user_id": True}, row_checks.NOT_UTF8, "user_id"),
    ({"item_id": ["i"]}, row_checks.NOT_UTF8, "item_id"),
    ({"item_id": "half \ud800"}, row_checks.NOT_UTF8, "item_id"),
    ({"occurred_at": [1]}, row_checks.WRONG_TYPE, "occurred_at"),
    ({"event_value": 10**400}, row_checks.WRONG_TYPE, "event_value"),
]


@pytest.mark.parametrize(("change", "reason", "column"), [*FAULTS, *ONLY_JSON])
def test_each_fault_is_found_whatever_its_neighbours(
    settings: Settings, change: dict[str, Any], reason: str, column: str
) -> None:
    rows = [GOOD, {**GOOD, **change}, {**GOOD, "occurred_at": 1770976800}]
    for tried in (rows, rows[1:2], rows[:2]):
        checked = check_rows(settings, RAW_INTERACTIONS, tried, DAY)
        assert [(one.reason, one.column) for one in checked.refused] == [(reason, column)]
        assert checked.rows.num_rows == len(tried) - 1


@pytest.mark.parametrize(("change", "reason", "column"), FAULTS)
def test_a_landed_row_meets_the_same_judgement(
    settings: Settings, change: dict[str, Any], reason: str, column: str
) -> None:
    path = settings.raw_dir("interactions") / f"dt={DAY}" / "part-0.parquet"
    path.parent.mkdir(parents=True)
    rows = [GOOD | {"event_id": f"e{n}", "event_value": "2"} for n in range(5)] + [
        {**GOOD, "event_value": "2", **change}
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    landed = read_checked(settings, RAW_INTERACTIONS, DAY, [path])
    assert [(one.reason, one.column) for one in landed.rejected] == [(reason, column)]


@pytest.mark.parametrize(
    "at", ["2026-02-13T10:00:00Z", "2026-02-13 11:00:00+01:00", 1770976800, "1770976800", 1770976800000]
)
def test_a_time_is_what_it_says_in_every_form(settings: Settings, at: Any) -> None:
    checked = check_rows(settings, RAW_INTERACTIONS, [GOOD, {**GOOD, "occurred_at": at}], DAY)
    assert checked.rows["occurred_at"].to_pylist() == [datetime(2026, 2, 13, 10, tzinfo=UTC)] * 2


def test_numbers_as_ids_keep_their_digits(settings: Settings) -> None:
    rows = [
        {**GOOD, "user_id": 12},
        {**GOOD, "user_id": "12"},
        {**GOOD, "user_id": 2**60 + 1},
        {**GOOD, "user_id": 1.0},
    ]
    found = check_rows(settings, RAW_INTERACTIONS, rows, DAY).rows["user_id"].to_pylist()
    assert found == ["12", "12", str(2**60 + 1), "1"]


def test_picks_come_as_a_list_or_with_bars(settings: Settings) -> None:
    about = {"user_id": "u", "valid_from": "2026-02-13T09:00:00Z"}
    rows = [{**about, "onboarding_item_ids": ["a", "b"]}, {**about, "onboarding_item_ids": "a|b"}, about]
    checked = check_rows(settings, RAW_USERS, rows, DAY)
    assert checked.rows["onboarding_item_ids"].to_pylist() == [["a", "b"], ["a", "b"], None]


def test_ids_that_restart_every_day_carry_the_time(settings: Settings) -> None:
    daily = replace(settings, event_key="event_id_and_day")
    [found] = check_rows(daily, RAW_INTERACTIONS, [GOOD], DAY).rows["event_id"].to_pylist()
    assert found.startswith("e1@2026-02-13T10:00:00")


@pytest.mark.parametrize("row", [b"", b"not json", b"[1]", b'"text"', b'{"a": "\xff"}', b"3"])
def test_what_is_no_row_is_dead(row: bytes) -> None:
    parsed, dead = parse([Entry("1-0", 1, "interactions", row), Entry("2-0", 1, "interactions", b"{}")])
    assert [letter.reason for letter in dead] == [NO_ROW]
    assert len(parsed["interactions"]) == 1


def test_a_row_of_another_table_is_dead() -> None:
    _, dead = parse([Entry("1-0", 1, "items", b"{}")])
    assert (dead[0].reason, dead[0].entry) == (NO_ROW, "1-0")


def test_nothing_gives_nothing(settings: Settings) -> None:
    checked = check_rows(settings, RAW_INTERACTIONS, [], DAY)
    assert (checked.rows.num_rows, checked.refused) == (0, [])
