"""Whatever was cut short, and whichever store was down, one call brings everything in line with the pointer."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serving_export.checksum import verify
from serving_export.lookup import EmbeddingStore
from serving_export.pin import pin, unpin
from serving_export.pointer_moves import rollback
from serving_export.promote import promote_space
from serving_export.reconcile import reconcile
from serving_export.refresh import refresh_embeddings
from tests.serving_export.world import DAY1, DAY2, DAY3, World
from training.contracts.errors import AttuneError, MissingArtefact
from training.data.online.guard import served_slots
from training.registry.pointer import read_pointer
from training.settings import Settings


class Killed(BaseException):
    """What a step raises in the place of a kill: nothing catches it."""


STEPS = ("encode", "consume", "validate", "materialise", "announce", "forget")


def state(world: World) -> dict[str, Any]:
    """Everything that is derived from the pointer."""
    pointer = read_pointer(world.settings.published_dir)
    return {
        "live": pointer.live,
        "spaces": world.ledger.space_states(),
        "models": world.ledger.model_states(),
        "moves": [row["kind"] for row in world.ledger.promotions()],
        "open intents": world.ledger.intents("open"),
        "online": {space_id: world.online.get(space_id) for space_id in served_slots(world.settings, "user_embedding")},
        "champion": world.announced[-1],
    }


def start(home: Path) -> World:
    world = World(Settings.from_env({"ATTUNE_HOME": str(home)}))
    world.promote(DAY1, DAY2)
    world.train(DAY3)
    return world


def promote(world: World) -> None:
    promote_space(world.settings, DAY3, world.sources)


def refresh(world: World) -> None:
    refresh_embeddings(world.settings, DAY3, world.sources)


def roll_back(world: World) -> None:
    rollback(world.settings)
    reconcile(world.settings, world.sources)


def die_at(world: World, step: str, nth: int) -> World:
    """Let the n-th call of a step raise, once."""
    original, calls = getattr(world, step), [0]

    def dying(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == nth:
            raise Killed(step)
        return original(*arguments)

    setattr(world, step, dying)
    return world


@pytest.mark.parametrize("work", [promote, refresh, roll_back])
def test_cut_short_at_any_step_and_done_again_it_ends_in_the_same_state(
    work: Callable[[World], None], tmp_path: Path
) -> None:
    whole = start(tmp_path / "whole")
    work(whole)
    for step in STEPS:
        world = die_at(start(tmp_path / step), step, 1)
        with suppress(Killed):
            work(world)
        assert EmbeddingStore(world.settings.published_dir).lookup(["u00"]).vectors.shape == (1, 8)
        if work is not roll_back:
            work(world)
        reconcile(world.settings, world.sources, alone=True)
        assert state(world) == state(whole), step


@pytest.mark.parametrize("work", [promote, refresh, roll_back])
def test_a_registry_that_is_down_keeps_nothing_back_and_is_made_up_for(
    work: Callable[[World], None], tmp_path: Path
) -> None:
    whole, world = start(tmp_path / "whole"), start(tmp_path / "down")
    work(whole)

    def down(*_: Any) -> None:
        raise ConnectionError("MLflow is away")

    announce, world.announce = world.announce, down  # type: ignore[method-assign]
    work(world)
    assert read_pointer(world.settings.published_dir).live == read_pointer(whole.settings.published_dir).live
    assert reconcile(world.settings, world.sources).pending == {"MLflow": "MLflow is away"}
    world.announce = announce  # type: ignore[method-assign]
    assert reconcile(world.settings, world.sources, alone=True).pending == {}
    assert state(world) == state(whole)


def test_a_rollback_while_the_ledger_is_locked_is_made_up_for(tmp_path: Path) -> None:
    whole, world = start(tmp_path / "whole"), start(tmp_path / "locked")
    roll_back(whole)
    with sqlite3.connect(world.settings.home / "ledger.db", isolation_level=None) as other:
        other.execute("begin exclusive")
        rollback(world.settings)
        other.execute("rollback")
    reconcile(world.settings, world.sources)
    assert state(world) == state(whole)


def test_online_rows_of_a_new_space_are_there_before_it_is_live(world: World) -> None:
    world.promote(DAY1)
    space = world.train(DAY2)
    seen: list[str] = []
    materialise = world.materialise

    def look(settings: Settings, entry: Any, slot: str) -> None:
        if slot == space.space_id:
            seen.append(read_pointer(settings.published_dir).live.space_id)
        materialise(settings, entry, slot)

    world.materialise = look  # type: ignore[method-assign]
    promote_space(world.settings, DAY2, world.sources)
    assert seen
    assert space.space_id not in seen


def test_an_online_store_that_is_down_stops_a_promotion_before_the_move(world: World) -> None:
    [first] = world.promote(DAY1)
    world.train(DAY2)

    def down(*_: Any) -> None:
        raise ConnectionError("online store is down")

    with pytest.raises(ConnectionError):
        promote_space(world.settings, DAY2, replace(world.sources, materialise=down))
    assert read_pointer(world.settings.published_dir).live.space_id == first


def test_online_rows_of_retired_spaces_are_removed(world: World) -> None:
    spaces = world.promote(DAY1, DAY2, DAY3)
    kept = sorted([*spaces[1:], f"frame-{spaces[0]}"])
    assert served_slots(world.settings, "user_embedding") == kept
    assert sorted(world.online) == kept


def test_a_pinned_consumer_is_answered_from_its_own_space_at_once(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    assert EmbeddingStore(world.settings.published_dir).model("matching")["space_id"] == second
    pin(world.settings, "matching", first, world.sources)
    store = EmbeddingStore(world.settings.published_dir)
    assert (store.model("matching")["space_id"], store.space_id) == (first, second)
    assert store.recommend("u03", 5) != EmbeddingStore(world.settings.published_dir, space_id=second).recommend(
        "u03", 5
    )
    unpin(world.settings, "matching", world.sources)
    assert EmbeddingStore(world.settings.published_dir).model("matching")["space_id"] == second
    assert [row["kind"] for row in world.ledger.promotions()] == ["promote", "promote", "pin", "pin"]
    assert [intent["kind"] for intent in world.ledger.intents("done")] == ["promote", "promote", "pin", "pin"]


def test_the_same_pin_again_moves_nothing_and_leaves_no_intent_open(world: World) -> None:
    first, _ = world.promote(DAY1, DAY2)
    for _ in range(2):
        pin(world.settings, "matching", first, world.sources)
    assert [intent["state"] for intent in world.ledger.intents()] == ["done"] * 3
    assert [row["kind"] for row in world.ledger.promotions()] == ["promote", "promote", "pin"]


def test_a_pin_that_was_recorded_and_then_cut_short_is_carried_out(world: World) -> None:
    first, _ = world.promote(DAY1, DAY2)
    world.ledger.pin("matching", first)
    reconcile(world.settings, world.sources)
    assert EmbeddingStore(world.settings.published_dir).model("matching")["space_id"] == first


def test_a_consumer_cannot_be_pinned_where_none_of_its_vectors_are(world: World) -> None:
    world.promote(DAY1, DAY2)
    other = world.train(DAY3).space_id
    with pytest.raises(MissingArtefact, match=f"expected a snapshot of space {other} with vectors of matching"):
        pin(world.settings, "matching", other, world.sources)
    assert world.ledger.pins() == {}
    with pytest.raises(AttuneError, match="none named matching"):
        unpin(world.settings, "matching", world.sources)


@pytest.mark.slow
def test_several_jobs_at_once_end_as_one_after_another(tmp_path: Path) -> None:
    world, context = start(tmp_path / "home"), multiprocessing.get_context("fork")
    jobs = [context.Process(target=work, args=(world,)) for work in (promote, refresh, promote, refresh)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(120)
        assert job.exitcode == 0
    pointer = read_pointer(world.settings.published_dir)
    assert {entry.partition for entry in pointer.snapshots} == {str(DAY3)}
    assert pointer.live.space_id == world.ledger.spaces()[-1].space_id
    assert list(world.ledger.space_states().values()) == ["retired", "legacy", "live"]
    assert [row["sequence"] for row in world.ledger.promotions()] == list(range(1, pointer.sequence + 1))
    assert world.ledger.intents("open") == []
    for entry in pointer.snapshots:
        verify(world.settings.published_dir / entry.path)


def test_an_intent_under_way_is_left_alone_by_those_who_do_not_publish(world: World) -> None:
    world.promote(DAY1)
    world.ledger.record_intent("refresh", "2026-11-02", 1)
    reconcile(world.settings, world.sources)
    assert [intent["state"] for intent in world.ledger.intents()] == ["done", "open"]
    reconcile(world.settings, world.sources, alone=True)
    assert [intent["state"] for intent in world.ledger.intents()] == ["done", "void"]


def test_an_empty_home_is_in_line(world: World) -> None:
    done = reconcile(world.settings, world.sources)
    assert (done.pointer, done.pending, done.to_dict()["live"]) == (None, {}, None)
