"""What is stored is stored whole or not at all, once, and forgotten when every batch has it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from serving_export.erasure.requests import file_request
from serving_export.stream import state as module
from serving_export.stream.state import DeadLetter, Event, Row, SignUp, State, ViewKey, state_path, state_paths
from training.contracts.errors import AttuneError
from training.settings import Settings

EVENT = Event("e1", "u", "i", "click", None, 1_770_976_800_000_000, None, None, "2026-02-13")
KEY = ViewKey("20260212-aaaaaaaa", "2026-02-12", "20260212-aaaaaaaa/dt=2026-02-12.0", "m1")
ROW = Row("u", 5, False, True, b"\0" * 8, None, ("i",))


@pytest.fixture
def state(settings: Settings) -> Iterator[State]:
    with closing(State(state_path(settings, 0))) as opened:
        yield opened


def test_a_failure_takes_everything_back(state: State) -> None:
    def fail() -> None:
        with state.transaction():
            state.add_events([EVENT])
            state.put_fact("position", "1-0")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert state.known_events(["e1"]) == {}
    assert state.position == ""


def test_an_event_is_stored_once(state: State) -> None:
    with state.transaction():
        state.add_events([EVENT])
    assert state.known_events(["e1", "e2"]) == {"e1": EVENT}
    with pytest.raises(sqlite3.IntegrityError), state.transaction():
        state.add_events([EVENT])


def test_events_come_in_the_order_of_time(state: State) -> None:
    late, early = EVENT._replace(event_id="a", occurred_at=9), EVENT._replace(event_id="b", occurred_at=3)
    tied = EVENT._replace(event_id="c", occurred_at=3, user_id="v")
    with state.transaction():
        state.add_events([late, early, tied])
    assert state.events_of(["u", "v", "nobody"]) == {"u": [early, late], "v": [tied], "nobody": []}


def test_an_older_row_of_a_user_changes_nothing(state: State) -> None:
    newer, older = SignUp("u", 20, {"country": "de"}, "2026-02-13"), SignUp("u", 10, {"country": "fr"}, "2026-02-13")
    with state.transaction():
        state.put_sign_ups([newer])
        state.put_sign_ups([older])
    assert state.sign_ups_of(["u"]) == {"u": newer}
    marks = state.marks()
    with state.transaction():
        state.put_sign_ups([replace(newer, valid_from=30)])
    assert state.touched_users("", marks) == ["u"]


def test_whom_the_batch_has_is_touched_no_more(state: State) -> None:
    with state.transaction():
        state.add_events([EVENT, EVENT._replace(event_id="e2", user_id="v")])
        state.put_sign_ups([SignUp("w", 1, {}, "2026-02-13")])
        state.mark_in_batch([("e1", "2026-02-13")], [("w", "2026-02-14")])
    assert state.touched_users("2026-02-12") == ["u", "v", "w"]
    assert state.touched_users("2026-02-13") == ["v", "w"]
    assert state.touched_users("2026-02-14") == ["v"]
    assert list(state.taken_between("2026-02-12", "2026-02-13")) == ["u"]
    assert state.signed_up_between("2026-02-13", "2026-02-14") == ["w"]
    events, users = state.not_in_batch()
    assert ([event.event_id for event in events], users) == (["e2"], [])
    with state.transaction():
        state.forget_taken("2026-02-13")
    assert state.touched_users() == ["v", "w"]


def test_a_view_of_the_same_day_replaces_the_older_one(state: State) -> None:
    with state.transaction():
        first = state.add_view(KEY)
        state.put_rows(first, [ROW])
        second = state.add_view(replace(KEY, path="rebuilt"))
    assert second > first
    assert state.views() == {replace(KEY, path="rebuilt"): second}
    assert state.count_rows(first) == 0


def test_dead_letters_are_bounded_and_counted(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEAD_KEPT", 3)
    with state.transaction():
        state.bury([DeadLetter(f"{n}-0", "wrong type", "user_id", "mend it", "{}") for n in range(5)])
    assert [letter.entry for letter in state.dead_letters()] == ["4-0", "3-0", "2-0"]
    assert state.count_dead() == 5


def test_an_erased_person_is_gone(state: State) -> None:
    with state.transaction():
        state.add_events([EVENT])
        state.put_sign_ups([SignUp("u", 1, {}, "2026-02-13")])
        view = state.add_view(KEY)
        state.put_rows(view, [ROW, replace(ROW, user_id="v")])
        state.bury([DeadLetter("1-0", "wrong type", "x", "mend it", '{"user_id":"u"}')])
        state.erase("u")
    assert state.touched_users() == []
    assert state.count_rows(view) == 1
    assert state.dead_letters() == []


def test_another_number_of_parts_is_refused(settings: Settings, state: State) -> None:
    assert state_paths(settings) == [state.path]
    with pytest.raises(AttuneError, match="ATTUNE_STREAM_PARTITIONS"):
        state_paths(replace(settings, stream_partitions=2))


def test_rows_that_were_made_before_an_erasure_are_not_put_after_it(settings: Settings, state: State) -> None:
    file_request(settings, ["u"], "asked")
    with state.transaction():
        view = state.add_view(KEY)
        state.put_rows(view, [ROW, replace(ROW, user_id="v")])
    assert state.count_rows(view) == 1


def test_a_dead_letter_of_an_erased_person_is_found_in_any_alphabet(state: State) -> None:
    with state.transaction():
        state.bury([DeadLetter("1-0", "wrong type", "x", "mend it", '{"user_id":"\u00e4nne"}')])
        state.erase("\u00e4nne")
    assert state.dead_letters() == []
