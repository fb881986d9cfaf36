"""The store follows the pointer without keeping anyone waiting, and lets go of what nobody reads any more."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from typing import Any

import pytest

from serving_export import checksum
from serving_export.http.served import NICENESS, Served
from serving_export.http.tally import begin_tally
from serving_export.lookup import EmbeddingStore
from serving_export.refresh import refresh_embeddings
from tests.serving_export.world import DAY1, DAY2, World
from training.contracts.errors import FrameMismatch, MissingArtefact, SpaceMismatch
from training.contracts.frames import frame_of


def test_the_last_snapshot_lives_as_long_as_its_last_reader(world: World) -> None:
    world.promote(DAY1)
    served = Served(world.settings)
    store = served.store()
    snapshot, indexes = weakref.ref(store.snapshot), served.indexes(store.snapshot, "matching")
    assert indexes is served.indexes(store.snapshot, "matching")
    refresh_embeddings(world.settings, DAY2, world.sources)
    assert served.store() is not store
    assert len(store.lookup(["u05"]).vectors) == 1
    del store, indexes
    gc.collect()
    assert snapshot() is None


def test_a_slow_opening_holds_up_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.promote(DAY1)
    served = Served(world.settings)
    before = served.store()
    refresh_embeddings(world.settings, DAY2, world.sources)
    may_go_on = threading.Event()
    verify = EmbeddingStore.verify

    def slowly(store: EmbeddingStore) -> None:
        assert may_go_on.wait(30)
        verify(store)

    monkeypatch.setattr(EmbeddingStore, "verify", slowly)
    monkeypatch.setattr("serving_export.http.served.PATIENCE_S", 0.1)
    started = time.monotonic()
    assert served.store() is before
    assert served.store() is before
    assert time.monotonic() - started < 5
    may_go_on.set()
    deadline = time.monotonic() + 30
    while served.store() is before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert served.store().snapshot.entry.partition == "2026-11-02"


def test_the_next_snapshot_is_opened_behind_those_who_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.promote(DAY1)
    digest = checksum._digest
    verifying: set[int] = set()

    def noting(*part: Any) -> str:
        verifying.add(_niceness())
        return digest(*part)

    monkeypatch.setattr(checksum, "_digest", noting)
    served = Served(world.settings)
    served.store()
    assert verifying == {_niceness()}, "nobody is answered yet"
    verifying.clear()
    refresh_embeddings(world.settings, DAY2, world.sources)
    assert served.store().snapshot.entry.partition == "2026-11-02"
    assert verifying == {max(_niceness(), NICENESS)}


def _niceness() -> int:
    """Return that of this thread, which on Linux has one of its own."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_what_became_of_each_move_is_told(world: World) -> None:
    told: list[str] = []
    served = Served(world.settings, told.append)
    with pytest.raises(MissingArtefact):
        served.store()
    assert served.in_force() == []
    world.promote(DAY1)
    served.store()
    assert told == ["failed", "opened"]


def test_what_is_in_force_is_told_with_its_age(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    served = Served(world.settings)
    served.store()
    found = served.in_force()
    assert [about.space_id for about in found] == [second, first]
    assert all(about.stale and about.age.days > 20 for about in found)


def test_the_answer_s_age_is_noted_for_its_head(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    served, tally = Served(world.settings), begin_tally()
    store = served.store(first)
    assert tally.about is not None
    assert tally.about.space_id == first
    served.account(store, served.store().snapshot, keys=3)
    assert (tally.about.space_id, tally.keys) == (second, 3)


def test_a_space_or_a_frame_that_is_not_served(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    served, frame = Served(world.settings), frame_of(first)
    with pytest.raises(SpaceMismatch):
        served.store("20260101-00000000")
    assert served.store(frame=frame).space_id == second, "the newest that carries it"
    assert served.store(first, frame).space_id == first
    for space_id in (None, second):
        with pytest.raises(FrameMismatch, match=f"expected f1, found {frame}"):
            served.store(space_id, "f1")


def test_the_account_says_whether_an_answer_is_in_a_frame(world: World) -> None:
    (space_id,) = world.promote(DAY1)
    tally, served = begin_tally(), Served(world.settings)
    store = served.store(frame=frame_of(space_id))
    served.account(store, keys=2, frame=frame_of(space_id))
    assert (tally.about.frame, tally.keys) == (frame_of(space_id), 2)
    assert served.account(store).frame == ""
