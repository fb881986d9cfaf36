"""Each entry comes to one outcome, and the outcomes add up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import orjson
import pyarrow as pa
import pytest

from serving_export.erasure.requests import file_request
from serving_export.stream.entries import Entry
from serving_export.stream.intake import Intake, Taken
from serving_export.stream.landed import LandedEvents
from serving_export.stream.state import State, state_path
from training.contracts.partitions import Partition
from training.settings import Settings
from training.storage import write_parquet

DAY = Partition.parse("2026-02-13")
NOON_MS = int(DAY.starts_at.timestamp() * 1000) + 12 * 3_600_000


@pytest.fixture
def state(settings: Settings) -> Iterator[State]:
    with closing(State(state_path(settings, 0))) as opened:
        yield opened


def event(event_id: str, **columns: Any) -> dict[str, Any]:
    row = {"event_id": event_id, "user_id": "u", "item_id": "i", "event_type": "click"}
    return {**row, "occurred_at": "2026-02-13T10:00:00Z", **columns}


def take(settings: Settings, state: State, rows: list[Any], partitions: tuple[str, ...] = (), **entry: Any) -> Taken:
    about: dict[str, Any] = {"appended_ms": NOON_MS, "table": "interactions", **entry}
    entries = [Entry(f"{NOON_MS}-{number}", row=orjson.dumps(row), **about) for number, row in enumerate(rows)]
    with state.transaction():
        taken = Intake(settings, LandedEvents(settings)).take(state, entries, partitions)
    assert sum(taken.counts.values()) == len(rows)
    return taken


def test_every_entry_is_accounted_for(settings: Settings, state: State) -> None:
    rows = [event("a"), event("b"), event("a"), event("a", item_id="other"), event("c", user_id=""), ["no row"]]
    taken = take(settings, state, rows)
    assert [one.event_id for one in taken.events] == ["a", "b"]
    assert dict(taken.counts) == {"taken": 2, "repeated": 1, "dead": 3, "in_batch": 0}
    again = take(settings, state, rows)
    assert dict(again.counts) == {"taken": 0, "repeated": 3, "dead": 3, "in_batch": 0}


def test_what_every_batch_has_is_not_stored_and_what_one_lacks_is(settings: Settings, state: State) -> None:
    path = settings.landed_dir("interactions") / f"dt={DAY}" / "part-0.parquet"
    write_parquet(pa.table({"event_id": ["a"]}), path)
    taken = take(settings, state, [event("a"), event("b")], (str(DAY),))
    assert [one.event_id for one in taken.events] == ["b"]
    assert taken.counts["in_batch"] == 1
    older = take(settings, state, [event("a")], (str(DAY.shift(-1)), str(DAY)))
    assert [(one.event_id, one.batch_day) for one in older.events] == [("a", str(DAY))]


def test_a_day_is_that_of_the_arrival(settings: Settings, state: State) -> None:
    tomorrow = event("a", occurred_at="2026-02-14T00:10:00Z")
    assert take(settings, state, [tomorrow]).counts["dead"] == 1
    taken = take(settings, state, [tomorrow], appended_ms=NOON_MS + 86_400_000)
    assert [one.arrived_on for one in taken.events] == ["2026-02-14"]


def test_the_newest_row_of_a_user_counts(settings: Settings, state: State) -> None:
    rows = [
        {"user_id": "u", "valid_from": f"2026-02-13T0{hour}:00:00Z", "country": country}
        for hour, country in ((3, "new"), (1, "old"))
    ]
    taken = take(settings, state, rows, table="users")
    assert taken.signed_up == ["u"]
    assert state.sign_ups_of(["u"])["u"].profile["country"] == "new"


def test_rows_of_erased_users_are_dropped_and_counted(settings: Settings, state: State) -> None:
    file_request(settings, ["u", "17"], "asked")
    taken = take(settings, state, [event("a"), event("b", user_id="v"), event("c", user_id=17), event("d", item_id="")])
    assert [one.event_id for one in taken.events] == ["b"]
    assert dict(taken.counts) == {"erased": 3, "taken": 1, "in_batch": 0, "dead": 0}
    assert state.dead_letters() == [], "nor is what was wrong with them kept"
    assert state.events_of(["u"]) == {"u": []}
