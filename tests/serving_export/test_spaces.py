"""What is said of each served space."""

from __future__ import annotations

import json

from serving_export.checksum import MANIFEST
from serving_export.frames import start_frame
from serving_export.lookup import EmbeddingStore
from serving_export.past_vectors import PastVectors
from serving_export.pin import pin
from serving_export.refresh import refresh_embeddings
from serving_export.spaces import served_frames, served_spaces
from tests.serving_export.world import DAY1, DAY2, DAY3, World
from training.contracts.frames import frame_of
from training.registry.pointer import read_pointer


def described(world: World) -> list[dict[str, object]]:
    published = world.settings.published_dir
    return served_spaces(EmbeddingStore(published), PastVectors(published))


def test_a_pinned_space_says_by_whom(world: World) -> None:
    first, *_ = world.promote(DAY1, DAY2)
    pin(world.settings, "search-team", first, world.sources)
    world.promote(DAY3)
    roles = {space["space_id"]: (space["role"], space["pinned_by"]) for space in described(world)}
    assert roles[first] == ("pinned", ["search-team"])


def test_a_pinned_frame_says_by_whom_and_outlives_a_new_one(world: World) -> None:
    (first,) = world.promote(DAY1)
    pin(world.settings, "ads", frame_of(first), world.sources)
    start_frame(world.settings, "a new encoder")
    (second,) = world.promote(DAY2)
    published = world.settings.published_dir
    frames = {one["frame"]: one for one in served_frames(EmbeddingStore(published), PastVectors(published))}
    assert frames[frame_of(first)]["pinned_by"] == ["ads"]
    assert [frames[frame_of(space)]["in_force"] for space in (first, second)] == [False, True]


def test_days_that_history_reads_grow_with_refreshes(world: World) -> None:
    world.promote(DAY1)
    refresh_embeddings(world.settings, DAY2, world.sources)
    assert described(world)[0]["history"] == ["2026-11-01", "2026-11-02"]


def test_a_snapshot_from_before_losses_were_measured_states_none(world: World) -> None:
    world.promote(DAY1)
    path = world.settings.published_dir / read_pointer(world.settings.published_dir).live.path / MANIFEST
    manifest = json.loads(path.read_text())
    del manifest["losses"]
    path.write_text(json.dumps(manifest))
    assert described(world)[0]["losses"] == {}
