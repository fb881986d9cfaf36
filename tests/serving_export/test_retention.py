"""Old snapshots go; what is served, pinned or could be returned to stays; so with what was derived for a space."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import pytest

from serving_export.pointer_moves import rollback
from serving_export.refresh import refresh_embeddings
from serving_export.retention import KEEP_SNAPSHOTS, freshest, list_snapshots, prune, retain
from serving_export.snapshot_writer import write_snapshot
from tests.serving_export.world import DAY1, DAY2, DAY3, DAY4, World
from training.contracts.artefacts import SpaceRef
from training.contracts.partitions import Partition
from training.data.derived_lock import reads_derived
from training.registry.pointer import read_pointer
from training.storage import PART, replace_file, write_json

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
        assert rollback(world.settings, further=True).live.space_id == expected


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


ITEMS = "20261101-11111111"
"""The item space of every space that `World` trains."""
WEEKS_AGO = DAY1.shift(-20)
BASES = ("embeddings/space=", "features/user_taste/item_space=", "features/user_onboarding/item_space=")


def derive(world: World, ref: SpaceRef) -> None:
    """Write what is derived for a space, and the manifests from which it could be derived again."""
    write_json({"item_space_id": ref.item_space_id}, world.settings.space_dir(ref.space_id) / "manifest.json")
    learn(world, ref.item_space_id)
    file = Path(f"dt={ref.partition}") / PART
    for base, space in zip(BASES, (ref.space_id, ref.item_space_id, ref.item_space_id), strict=True):
        with replace_file(world.settings.home / f"{base}{space}" / file) as path:
            path.write_text("rows")
    write_json({}, world.settings.home / "taste_sums" / f"item_space={ref.item_space_id}" / file)


def learn(world: World, item_space_id: str) -> None:
    day = Partition(datetime.strptime(item_space_id[:8], "%Y%m%d").date())
    manifest = {"item_space_id": item_space_id, "partition": str(day)}
    write_json(manifest, world.settings.item_space_dir(item_space_id) / "manifest.json")


def derived(world: World) -> set[str]:
    """Return the folders of spaces and item spaces that hold something derived."""
    parents = [world.settings.home / base.rpartition("/")[0] for base in (*BASES, "taste_sums/item_space=")]
    return {str(path.relative_to(world.settings.home)) for parent in parents for path in parent.glob("*")}


def pools_of(item_space_id: str) -> set[str]:
    return {f"{base}{item_space_id}" for base in (*BASES[1:], "taste_sums/item_space=")}


def old(world: World, state: str, number: int = 1, day: Partition = WEEKS_AGO) -> SpaceRef:
    """Record a space of weeks ago with an item space of its own, and derive what belongs to it."""
    ids = [f"{day.day:%Y%m%d}-{number:08x}", f"{day.day:%Y%m%d}-{number:07x}f"]
    ref = SpaceRef(space_id=ids[0], item_space_id=ids[1], partition=str(day))
    world.ledger.record_space(ref, "rejected")
    world.ledger.set_space_state(ref.space_id, state)
    derive(world, ref)
    return ref


def pruned(world: World) -> set[str]:
    return set(prune(world.settings, world.ledger, read_pointer(world.settings.published_dir)))


@pytest.mark.parametrize("state", ["retired", "rejected"])
def test_what_was_derived_for_a_space_of_the_past_goes(
    world: World, state: str, caplog: pytest.LogCaptureFixture
) -> None:
    [live] = world.promote(DAY1)
    derive(world, world.ledger.space(live))
    kept = derived(world)
    ref = old(world, state)
    features = world.settings.features_dir("user_profile", DAY1) / PART
    write_json({}, features)
    caplog.set_level("INFO")
    assert pruned(world) == {f"embeddings/space={ref.space_id}", *pools_of(ref.item_space_id)}
    assert derived(world) == kept
    assert "removed 4 folders" in caplog.text
    assert pruned(world) == set(), "a second run finds nothing"
    assert features.exists()
    assert (world.settings.item_space_dir(ref.item_space_id) / "manifest.json").exists()


@pytest.mark.parametrize("state", ["candidate", "live", "legacy"])
def test_what_may_be_promoted_or_is_served_stays(world: World, state: str) -> None:
    world.promote(DAY1)
    old(world, state, 1)
    old(world, state, 2)
    assert pruned(world) == set()


def test_a_pinned_space_stays_with_its_item_space_until_it_is_let_go(world: World) -> None:
    world.promote(DAY1)
    ref = old(world, "retired")
    world.ledger.pin("team", ref.space_id)
    assert pruned(world) == set()
    world.ledger.unpin("team")
    assert len(pruned(world)) == 4


def test_what_a_rollback_returns_to_stays(world: World) -> None:
    spaces = world.promote(*(DAY1.shift(offset) for offset in range(6)))
    for space_id in spaces:
        derive(world, world.ledger.space(space_id))
    assert pruned(world) == {f"embeddings/space={space_id}" for space_id in spaces[:2]}
    assert pools_of(ITEMS) < derived(world)


def test_what_the_pointer_names_stays_whatever_the_ledger_says(world: World) -> None:
    [live] = world.promote(DAY1)
    derive(world, world.ledger.space(live))
    world.ledger.set_space_state(live, "retired")
    assert pruned(world) == set()


def test_item_spaces_of_the_next_retrain_and_of_one_under_way_stay(world: World) -> None:
    world.promote(DAY4)
    for number, day in enumerate((DAY1, DAY3, DAY4.shift(1)), start=1):
        old(world, "rejected", number, day)
    gone = {folder for folder in pruned(world) if not folder.startswith("embeddings")}
    assert gone == pools_of("20261101-0000001f"), "20261103 is current, 20261105 is newer than what is served"


def test_what_cannot_be_made_again_or_is_not_known_stays(world: World) -> None:
    world.promote(DAY1)
    ref = old(world, "retired")
    (world.settings.space_dir(ref.space_id) / "manifest.json").unlink()
    (world.settings.item_space_dir(ref.item_space_id) / "manifest.json").unlink()
    foreign = SpaceRef(space_id="20200101-00000001", item_space_id="20200101-00000002", partition="2020-01-01")
    derive(world, foreign)
    (world.settings.item_space_dir(foreign.item_space_id) / "manifest.json").unlink()
    assert pruned(world) == set()


def test_nothing_goes_while_it_is_read(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.promote(DAY1)
    old(world, "rejected")
    caplog.set_level("INFO")
    reading = reads_derived(lambda settings: pruned(world))
    assert reading(world.settings) == set()
    assert "derived files are being read" in caplog.text
    assert len(pruned(world)) == 4


@pytest.mark.parametrize("step", ["rename", "rmtree"])
@pytest.mark.parametrize("number", range(1, 5))
def test_a_crash_in_the_middle_is_made_good_by_the_next_run(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    world.promote(DAY1)
    ref = old(world, "retired")
    owner = Path if step == "rename" else shutil
    original, calls = getattr(owner, step), []

    def crash(path: Path, *args: object, **options: object) -> object:
        calls.append(path)
        if len(calls) == number * (1 if step == "rename" else 2):  # rmtree is called for a leftover, then in earnest
            raise KeyboardInterrupt
        return original(path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, crash)
        with pytest.raises(KeyboardInterrupt):
            pruned(world)
    left = derived(world)
    taste, onboarding = (f"{base}{ref.item_space_id}" for base in BASES[1:])
    assert onboarding in left or taste not in left, "taste without onboarding would not be pooled again"
    pruned(world)
    assert derived(world) == set()


def test_a_refresh_and_a_promotion_prune_but_an_older_day_does_not(world: World) -> None:
    world.promote(DAY2)
    old(world, "rejected", 1)
    refresh_embeddings(world.settings, DAY1, world.sources)
    assert len(derived(world)) == 4, "a backfill goes on from its own sums"
    refresh_embeddings(world.settings, DAY3, world.sources)
    assert derived(world) == set()
    old(world, "retired", 2)
    world.promote(DAY4)
    assert derived(world) == set()


def test_a_rollback_after_pruning_is_refreshed_again(world: World) -> None:
    first, _ = world.promote(DAY1, DAY2)
    rollback(world.settings)
    assert refresh_embeddings(world.settings, DAY3, world.sources)["refreshed"][first] == "2026-11-03"
