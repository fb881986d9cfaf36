"""A reader that was fitted once goes on reading over promotions, or is told by name that it must retrain."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from serving_export.frames import start_frame
from serving_export.lookup import EmbeddingStore
from serving_export.pin import pin, unpin
from serving_export.pointer_moves import rollback
from serving_export.promote import promote_space
from serving_export.reconcile import reconcile
from serving_export.refresh import refresh_embeddings
from serving_export.stream.state import Row, State, ViewKey, state_path
from tests.serving_export.world import DAY1, DAY2, DAY3, DAY4, DIMENSION, World, noise
from training.contracts.errors import AttuneError, FrameMismatch, MissingArtefact
from training.contracts.frames import frame_of
from training.registry.pointer import read_pointer
from training.settings import Settings
from training.storage import new_dir


def store(world: World, **named: str) -> EmbeddingStore:
    return EmbeddingStore(world.settings.published_dir, **named)


def turned(space_id: str, vectors: np.ndarray) -> np.ndarray:
    rotation, _ = np.linalg.qr(noise(f"turn {space_id}", DIMENSION, DIMENSION).astype(np.float64))
    return vectors @ rotation


def test_the_frame_begins_with_the_first_space_that_is_promoted(world: World) -> None:
    (first,) = world.promote(DAY1)
    frame = frame_of(first)
    assert read_pointer(world.settings.published_dir).frame == frame
    found, plain = store(world).lookup(["u03", "u11"], frame=frame), store(world).lookup(["u03", "u11"])
    np.testing.assert_array_equal(found.vectors, plain.vectors)
    assert (found.frame, plain.frame) == (frame, "")


def test_later_spaces_are_turned_into_it(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    frame = frame_of(first)
    opened = store(world)
    found = opened.lookup(["u11", "u03"], frame=frame)
    assert (found.space_id, found.partition) == (second, str(DAY2))
    np.testing.assert_allclose(found.vectors, turned(second, opened.lookup(["u11", "u03"]).vectors), atol=1e-5)
    assert opened.snapshot.manifest["frame"] == {"frame_id": frame, "residual": 0.05}
    np.testing.assert_allclose(
        np.load(opened.snapshot.folder / "frame/rotation.npy") @ turned(second, np.eye(8)).T, np.eye(8), atol=1e-9
    )
    older = store(world, space_id=first).lookup(["u03"], frame=frame)
    assert older.space_id == first, "a store of a space reads that space, framed"


def test_a_user_whose_events_came_since_is_turned_into_the_frame_too(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    frame, opened = frame_of(first), store(world)
    vectors = noise("fresh", 2, DIMENSION)
    entry = opened.snapshot.entry
    with closing(State(state_path(world.settings, 0))) as state, state.transaction():
        view = state.add_view(ViewKey(second, entry.partition, entry.path))
        fresh = zip(("u03", "newcomer"), vectors, strict=True)
        state.put_rows(view, [Row(user, 1, False, False, z.tobytes(), None, ()) for user, z in fresh])
    found = opened.lookup(["u11", "newcomer", "u03"], frame=frame)
    assert set(found.fresh) == {"newcomer", "u03"}
    expected = turned(second, np.stack([opened.lookup(["u11"]).vectors[0], vectors[1], vectors[0]]))
    np.testing.assert_allclose(found.vectors, expected, atol=1e-5)
    np.testing.assert_array_equal(opened.lookup(["u03"]).vectors[0], vectors[0])


def test_one_user_and_many_get_the_same_bytes(world: World) -> None:
    first, _ = world.promote(DAY1, DAY2)
    opened, users = store(world), world.users(DAY2)
    many = opened.lookup(users, frame=frame_of(first)).vectors
    for row, user in enumerate(users):
        assert opened.lookup([user], frame=frame_of(first)).vectors.tobytes() == many[row].tobytes()


def test_items_are_looked_up_in_the_frame_too(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    found = store(world).lookup_items(frame_of(first), ["i04", "i99", "i01"])
    assert (found.item_ids, found.unknown, found.space_id) == (("i04", "i01"), ("i99",), second)
    np.testing.assert_array_equal(found.vectors, noise(f"items {second}", 20, 4)[[4, 1]])
    assert len(store(world).lookup_items(frame_of(first)).item_ids) == 20


def test_a_frame_that_is_not_served_is_named_with_the_one_that_is(world: World) -> None:
    (first,) = world.promote(DAY1)
    with pytest.raises(FrameMismatch, match=f"expected frame-20200101-00000000, found {frame_of(first)}"):
        store(world).lookup(["u03"], frame="frame-20200101-00000000")


def test_a_refused_step_promotes_the_space_and_names_who_must_retrain(world: World) -> None:
    (first,) = world.promote(DAY1)
    frame = frame_of(first)
    pin(world.settings, "ads", frame, world.sources)
    pin(world.settings, "elsewhere", first, world.sources)
    second = world.train(DAY2)
    world.unfit.add(second.space_id)
    done = promote_space(world.settings, DAY2, world.sources)
    assert (done["promoted"], done["space_id"]) == (True, second.space_id)
    assert done["frame"]["must_retrain"] == ["ads"]
    assert not done["frame"]["carried"]
    assert "held-out residual: 0.85, allowed at most 0.12" in done["frame"]["reason"]
    pointer = read_pointer(world.settings.published_dir)
    assert (pointer.live.frame, pointer.frame) == ("", frame)
    found = store(world).lookup(["u03"], frame=frame)
    assert found.space_id == first, "readers of the frame go on with the space before"
    assert store(world).lookup(["u03"]).space_id == second.space_id
    with pytest.raises(FrameMismatch, match="found no frame"):
        store(world, space_id=second.space_id).lookup(["u03"], frame=frame)


def test_the_next_space_may_be_carried_again(world: World) -> None:
    """Maps are learned against the frame's first day: a bad day between leaves nothing behind."""
    (first,) = world.promote(DAY1)
    world.unfit.add(world.train(DAY2).space_id)
    promote_space(world.settings, DAY2, world.sources)
    (third,) = world.promote(DAY3)
    assert store(world).lookup(["u03"], frame=frame_of(first)).space_id == third


def test_a_pinned_frame_keeps_the_last_space_that_it_carries(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    frame = frame_of(first)
    pin(world.settings, "ads", frame, world.sources)
    for day in (DAY3, DAY4):
        world.unfit.add(world.train(day).space_id)
        promote_space(world.settings, day, world.sources)
    pointer = read_pointer(world.settings.published_dir)
    assert [entry.space_id for entry in pointer.pinned] == [second]
    refresh_embeddings(world.settings, DAY4, world.sources)
    found = store(world).lookup(["u03"], frame=frame)
    assert (found.space_id, found.partition) == (second, str(DAY4)), "and it is refreshed like any other"
    unpin(world.settings, "ads", world.sources)
    refresh_embeddings(world.settings, DAY4, world.sources)
    with pytest.raises(FrameMismatch, match=frame):
        store(world).lookup(["u03"], frame=frame)


def test_whatever_is_wrong_with_the_frame_the_space_is_served(world: World) -> None:
    def broken(*_: object) -> str:
        raise OSError("no space left\non device")

    world.train(DAY1)
    done = promote_space(world.settings, DAY1, replace(world.sources, begin_frame=broken))
    assert done["promoted"]
    assert done["frame"] == {
        "frame_id": "",
        "carried": False,
        "reason": "OSError: no space left on device",
        "must_retrain": [],
    }
    (second,) = world.promote(DAY2)
    assert read_pointer(world.settings.published_dir).frame == frame_of(second), "the next one begins it"


@pytest.mark.parametrize("broken", ["bring_into_frame", "turn"])
def test_a_step_that_breaks_down_is_a_refusal(world: World, broken: str) -> None:
    """As where the anchors' frozen rows lack a column that newer encoders read."""

    def fail(*_: object) -> None:
        raise KeyError("share_night_180d")

    (first,) = world.promote(DAY1)
    pin(world.settings, "ads", frame_of(first), world.sources)
    world.train(DAY2)
    done = promote_space(world.settings, DAY2, replace(world.sources, **{broken: fail}))
    assert done["promoted"]
    assert (done["frame"]["reason"], done["frame"]["must_retrain"]) == ("KeyError: 'share_night_180d'", ["ads"])
    assert store(world).lookup(["u03"], frame=frame_of(first)).space_id == first


def test_a_refresh_stays_in_the_frame(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    refresh_embeddings(world.settings, DAY3, world.sources)
    found = store(world).lookup(["u03"], frame=frame_of(first))
    assert (found.space_id, found.partition) == (second, str(DAY3))
    np.testing.assert_allclose(found.vectors, turned(second, store(world).lookup(["u03"]).vectors), atol=1e-5)


def test_a_new_frame_begins_with_the_next_promotion_and_says_who_must_retrain(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    pin(world.settings, "ads", frame_of(first), world.sources)
    assert start_frame(world.settings, "the catalogue was replaced") == (frame_of(first), ("ads",))
    pointer = read_pointer(world.settings.published_dir)
    assert (pointer.kind, pointer.frame, pointer.reason) == ("frame", "", "the catalogue was replaced")
    assert store(world).lookup(["u03"], frame=frame_of(first)).space_id == second
    (third,) = world.promote(DAY3)
    assert read_pointer(world.settings.published_dir).frame == frame_of(third)
    assert store(world).lookup(["u03"], frame=frame_of(third)).space_id == third
    assert store(world).lookup(["u03"], frame=frame_of(first)).space_id == second, "one that is pinned stays readable"
    assert [i["kind"] for i in world.ledger.intents("open")] == []


def test_a_new_frame_needs_a_reason(world: World) -> None:
    world.promote(DAY1)
    with pytest.raises(AttuneError, match="expected a reason"):
        start_frame(world.settings, "  ")


def test_a_frame_that_is_ended_while_a_space_is_written_stays_ended(world: World) -> None:
    (first,) = world.promote(DAY1)
    world.train(DAY2)
    world.before_validating = lambda _: start_frame(world.settings, "now") and None
    promote_space(world.settings, DAY2, world.sources)
    assert read_pointer(world.settings.published_dir).frame == ""
    assert store(world).lookup(["u03"], frame=frame_of(first)).partition == str(DAY2)


def test_a_rollback_goes_back_to_the_frame_of_then(world: World) -> None:
    (first,) = world.promote(DAY1)
    start_frame(world.settings, "why not")
    world.promote(DAY2)
    rollback(world.settings)
    reconcile(world.settings, world.sources)
    pointer = read_pointer(world.settings.published_dir)
    assert pointer.live.space_id == first
    assert pointer.live.frame == frame_of(first)
    assert store(world).lookup(["u03"], frame=frame_of(first)).space_id == first


def test_the_online_store_holds_framed_vectors_under_the_name_of_the_frame(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    frame = frame_of(first)
    live = read_pointer(world.settings.published_dir).live
    assert world.online[frame] == world.online[second] == live.path
    rollback(world.settings)
    reconcile(world.settings, world.sources)
    assert world.online[frame] == read_pointer(world.settings.published_dir).live.path, "an older day, as is served"


def test_a_frame_is_for_outside_teams_and_must_be_served(world: World) -> None:
    (first,) = world.promote(DAY1)
    with pytest.raises(AttuneError, match="only outside teams read a frame"):
        pin(world.settings, "matching", frame_of(first), world.sources)
    with pytest.raises(FrameMismatch, match="frame-20200101-00000000"):
        pin(world.settings, "ads", "frame-20200101-00000000", world.sources)


def test_frames_can_be_done_without(tmp_path) -> None:
    world = World(Settings.from_env({"ATTUNE_HOME": str(tmp_path), "ATTUNE_FRAME": "none"}))
    world.promote(DAY1, DAY2)
    pointer = read_pointer(world.settings.published_dir)
    assert (pointer.frame, pointer.frames) == ("", {})
    assert not (world.settings.published_dir / pointer.live.path / "frame").exists()


def test_an_old_home_begins_its_frame_at_the_next_promotion(world: World) -> None:
    """Its pointer and snapshots say nothing of frames."""
    old = World(replace(world.settings, frame="none"))
    old.promote(DAY1)
    (second,) = world.promote(DAY2)
    pointer = read_pointer(world.settings.published_dir)
    assert pointer.frame == frame_of(second)
    assert pointer.legacy is not None
    assert pointer.legacy.frame == ""


def test_frames_that_nobody_can_read_or_return_to_are_removed(world: World) -> None:
    for day in (DAY1, DAY2):
        with new_dir(world.settings.frame_dir(frame_of(world.train(day).space_id))):
            pass
    with new_dir(world.settings.frame_dir("frame-20200101-00000000")):
        pass
    promote_space(world.settings, DAY1, world.sources)
    left = sorted(path.name for path in (world.settings.home / "frames").iterdir())
    assert left == sorted(frame_of(ref.space_id) for ref in world.ledger.spaces()), "a space to come may begin one"


def test_nothing_promoted_has_no_frame_to_end(world: World) -> None:
    with pytest.raises(MissingArtefact):
        start_frame(world.settings, "early")
