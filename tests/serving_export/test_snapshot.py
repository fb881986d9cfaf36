"""One snapshot: mapped whole, refused where it is another's, and turned row by row as it was turned whole."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from serving_export.checksum import MANIFEST
from serving_export.snapshot import Snapshot
from tests.serving_export.world import DAY1, DAY2, World
from training.contracts.errors import AttuneError, MissingArtefact, SpaceMismatch, UnknownConsumer
from training.registry.pointer import PublishedSnapshot, read_pointer


@pytest.fixture
def entry(world: World) -> PublishedSnapshot:
    world.promote(DAY1, DAY2)
    return read_pointer(world.settings.published_dir).live


def opened(world: World, entry: PublishedSnapshot) -> Snapshot:
    return Snapshot(world.settings.published_dir, entry)


def test_newer_rows_are_turned_as_the_snapshot_was(world: World, entry: PublishedSnapshot) -> None:
    snapshot = opened(world, entry)
    np.testing.assert_allclose(snapshot.turned(snapshot.vectors), snapshot.framed_vectors, atol=1e-5)
    assert not np.allclose(snapshot.vectors, snapshot.framed_vectors)


def test_users_without_history_are_answered_for_by_others(world: World, entry: PublishedSnapshot) -> None:
    snapshot = opened(world, entry)
    answering = [snapshot.answering(user, "matching") for user in ("u01", "u10", "nobody")]
    assert answering == ["matching", "popularity", "matching"]
    assert snapshot.model("popularity") == {"version": str(DAY2), "space_id": entry.space_id}
    with pytest.raises(UnknownConsumer, match="matching"):
        snapshot.consumer("nothing")


def test_a_folder_of_another_space_cut_short_or_gone(world: World, entry: PublishedSnapshot) -> None:
    with pytest.raises(SpaceMismatch, match="expected space elsewhere"):
        opened(world, replace(entry, space_id="elsewhere"))
    with pytest.raises(MissingArtefact, match="run refresh for"):
        opened(world, replace(entry, path="nowhere"))
    path = world.settings.published_dir / entry.path / "vectors.npy"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(AttuneError, match=r"vectors\.npy"):
        opened(world, entry)


def test_the_manifest_is_what_stands_there(world: World, entry: PublishedSnapshot) -> None:
    text = (world.settings.published_dir / entry.path / MANIFEST).read_text()
    assert opened(world, entry).manifest == json.loads(text)
