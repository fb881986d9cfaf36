"""Old snapshots go; what is served, pinned or could be returned to stays."""

from __future__ import annotations

from serving_export.flip import rollback
from serving_export.pointer import read_pointer
from serving_export.refresh import refresh_embeddings
from serving_export.retention import KEEP_SNAPSHOTS, freshest, list_snapshots, retain
from serving_export.sources import write_snapshot
from tests.serving_export.world import DAY1, DAY2, DAY3, DAY4, World

DAYS = [DAY1.shift(offset) for offset in range(1, 7)]


def test_the_newest_snapshots_of_a_served_space_stay(world: World) -> None:
    [space_id] = world.promote(DAY1)
    for day in DAYS:
        refresh_embeddings(world.settings, day, world.sources)
    kept = [entry.partition for entry in list_snapshots(world.settings, space_id)]
    assert kept == [str(day) for day in DAYS[-KEEP_SNAPSHOTS:]]


def test_what_the_pointer_names_stays_however_old(world: World) -> None:
    first, _ = world.promote(DAY1, DAY2)
    pointer = read_pointer(world.settings.published_dir)
    assert retain(world.settings, pointer) == []
    assert pointer.legacy is not None
    assert (world.settings.published_dir / pointer.legacy.path / "vectors.npy").exists()
    assert pointer.legacy.space_id == first


def test_rollback_targets_stay_and_spaces_beyond_them_go(world: World) -> None:
    days = [DAY1.shift(offset) for offset in range(6)]
    spaces = world.promote(*days)
    kept = [space_id for space_id in spaces if list_snapshots(world.settings, space_id)]
    assert kept == spaces[-4:]
    for expected in reversed(spaces[-4:-1]):
        assert rollback(world.settings).live.space_id == expected


def test_a_pinned_space_stays(world: World) -> None:
    [first] = world.promote(DAY1)
    world.ledger.pin("team", first)
    world.promote(*(DAY1.shift(offset) for offset in range(1, 6)))
    assert list_snapshots(world.settings, first)


def test_a_space_that_nothing_needs_goes_unless_it_is_named(world: World) -> None:
    world.promote(DAY1)
    pointer = read_pointer(world.settings.published_dir)
    candidate = world.train(DAY2).space_id
    models = world.ledger.models("matching", space_id=candidate)
    written = write_snapshot(world.settings, world.sources, candidate, DAY2, models)
    assert retain(world.settings, pointer, frozenset({candidate})) == []
    assert retain(world.settings, pointer) == [written.path]
    assert list_snapshots(world.settings, candidate) == []


def test_freshest_keeps_to_the_same_models(world: World) -> None:
    [space_id] = world.promote(DAY1)
    first = read_pointer(world.settings.published_dir).live
    for day in (DAY2, DAY3):
        refresh_embeddings(world.settings, day, world.sources)
    assert freshest(world.settings, first).partition == "2026-11-03"
    other = world.train_matching(world.ledger.space(space_id), DAY4)
    assert other.version not in freshest(world.settings, first).versions.values()


def test_a_space_without_snapshots_lists_none(world: World) -> None:
    assert list_snapshots(world.settings, "20260101-00000000") == []
