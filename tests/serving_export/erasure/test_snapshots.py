"""A snapshot that is written anew holds of everybody else what it held, its frame included."""

from __future__ import annotations

import numpy as np

from serving_export.erasure.snapshots import erase_snapshots
from serving_export.lookup import EmbeddingStore
from tests.serving_export.world import DAY1, DAY2, World
from training.contracts.frames import frame_of
from training.registry.pointer import read_pointer

GONE = frozenset(["u03", "u11"])
TURN = ("rotation", "centre", "origin", "item_ids", "item_vectors")


def test_the_frame_goes_on_with_the_same_bytes(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    frame = frame_of(first)
    before = EmbeddingStore(world.settings.published_dir)
    others = [user for user in world.users(DAY1) if user not in GONE]
    framed = {space: before.for_space(space).lookup(others, frame=frame).vectors.copy() for space in (first, second)}
    arrays = {name: np.load(before.snapshot.folder / "frame" / f"{name}.npy") for name in TURN}
    described = before.snapshot.manifest["frame"]
    renamed = erase_snapshots(world.settings, GONE)
    after = EmbeddingStore(world.settings.published_dir)
    assert after.snapshot.folder != before.snapshot.folder
    assert {entry.frame for entry in renamed.values()} == {frame}
    assert read_pointer(world.settings.published_dir).frame == frame
    for space, vectors in framed.items():
        assert after.for_space(space).lookup(others, frame=frame).vectors.tobytes() == vectors.tobytes()
    for name, array in arrays.items():
        np.testing.assert_array_equal(np.load(after.snapshot.folder / "frame" / f"{name}.npy"), array)
    assert after.snapshot.manifest["frame"] == described
    assert after.snapshot.manifest["losses"]["float16"]["num_rows"] == len(world.users(DAY2)) - 2
    assert after.lookup(sorted(GONE), "ignore", frame=frame).unknown == tuple(sorted(GONE))
    after.verify()
    assert erase_snapshots(world.settings, GONE) == {}
