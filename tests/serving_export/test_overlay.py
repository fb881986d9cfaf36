"""Readers see each of a worker's transactions whole, in every process, and nothing of other snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serving_export.overlay import Overlay, stack
from serving_export.stream.state import Row, State, ViewKey, state_path
from training.settings import Settings

KEY = ViewKey("20260212-aaaaaaaa", "2026-02-12", "somewhere", "m1")
SPACE = KEY.space_id, KEY.partition


def row(user_id: str, value: float, **changes: object) -> Row:
    vector = np.full(4, value, np.float32).tobytes()
    return replace(Row(user_id, 1_000_000, False, False, vector, None, ()), **changes)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_env({"ATTUNE_HOME": str(tmp_path), "ATTUNE_STREAM_PARTITIONS": "2"})


@pytest.fixture
def states(settings: Settings) -> Iterator[list[State]]:
    with closing(State(state_path(settings, 0))) as zero, closing(State(state_path(settings, 1))) as one:
        yield [zero, one]


def put(state: State, *rows: Row, key: ViewKey = KEY) -> None:
    with state.transaction():
        state.put_rows(state.views().get(key) or state.add_view(key), rows)


def test_without_a_worker_there_is_nothing(settings: Settings) -> None:
    overlay = Overlay(settings.published_dir)
    assert overlay.find(*SPACE, ["u"]) == {}
    assert overlay.ranker(*SPACE, "u") is None
    with closing(State(state_path(settings, 0))) as state:  # it comes later
        put(state, row("u", 1.0))
        assert list(overlay.find(*SPACE, ["u"])) == ["u"]


def test_rows_of_every_part_are_found_and_newer_ones_replace_them(settings: Settings, states: list[State]) -> None:
    overlay = Overlay(settings.published_dir)
    put(states[0], row("u", 1.0))
    put(states[1], row("v", 2.0, is_virtual=True))
    found = overlay.find(*SPACE, ["v", "u", "x"])
    assert stack([found["u"], found["v"]])[:, 0].tolist() == [1.0, 2.0]
    assert (found["v"].is_virtual, found["u"].newest_at.timestamp()) == (True, 1.0)
    put(states[0], row("u", 3.0))
    assert stack([overlay.find(*SPACE, ["u"])["u"]])[0, 0] == 3.0
    assert overlay.users(*SPACE) == ["u", "v"]


def test_rows_over_another_snapshot_are_not_read(settings: Settings, states: list[State]) -> None:
    overlay = Overlay(settings.published_dir)
    put(states[0], row("u", 1.0))
    put(states[0], row("u", 2.0), key=replace(KEY, partition="2026-02-13"))
    assert stack([overlay.find(*SPACE, ["u"])["u"]])[0, 0] == 1.0
    assert overlay.find("20260212-bbbbbbbb", KEY.partition, ["u"]) == {}
    with states[0].transaction():
        states[0].drop_view(states[0].views()[KEY])
    assert overlay.find(*SPACE, ["u"]) == {}


def test_what_is_not_committed_is_not_read(settings: Settings, states: list[State]) -> None:
    overlay = Overlay(settings.published_dir)
    put(states[0], row("u", 1.0))
    with states[0].transaction():
        states[0].put_rows(states[0].views()[KEY], [row("u", 2.0)])
        assert stack([overlay.find(*SPACE, ["u"])["u"]])[0, 0] == 1.0
    assert stack([overlay.find(*SPACE, ["u"])["u"]])[0, 0] == 2.0


def test_an_erased_person_is_read_no_more(settings: Settings, states: list[State]) -> None:
    overlay = Overlay(settings.published_dir)
    put(states[0], row("u", 1.0, is_new=True), row("w", 1.0))
    assert overlay.users(*SPACE) == ["u", "w"]
    with states[0].transaction():
        states[0].erase("u")
    assert overlay.users(*SPACE) == ["w"]
    assert overlay.ranker(*SPACE, "u") is None


def test_only_users_without_history_have_a_ranker(settings: Settings, states: list[State]) -> None:
    overlay, ranker = Overlay(settings.published_dir), np.ones(3, np.float32).tobytes()
    put(states[0], row("new", 1.0, is_new=True, ranker=ranker, seen=("i",)), row("old", 1.0, ranker=ranker))
    put(states[1], row("bare", 1.0, is_new=True))
    found = overlay.ranker(*SPACE, "new")
    assert found is not None
    assert (found.version, found.seen) == ("m1", ("i",))
    np.testing.assert_array_equal(found.vector, np.ones(3))
    assert overlay.ranker(*SPACE, "old") is None
    bare = overlay.ranker(*SPACE, "bare")
    assert bare is not None
    assert bare.vector is None
