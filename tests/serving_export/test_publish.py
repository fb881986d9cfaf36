"""A snapshot is written whole, named by its content, and checked by its manifest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serving_export.publish import content_hash, publish, verify
from serving_export.vector_loss import measure_losses
from serving_export.vectors import ConsumerVectors, SpaceVectors
from tests.serving_export.world import DAY1, DAY2, World
from training.contracts.artefacts import ModelRef
from training.contracts.errors import AttuneError, SpaceMismatch

SPACE = "20261101-aaaaaaaa"


def _parts(world: World) -> tuple[SpaceVectors, ConsumerVectors]:
    model = ModelRef(consumer="matching", version="v1", space_id=SPACE, partition="2026-11-01")
    users, z_UZ = world.encode(world.settings, SPACE, DAY1)
    return SpaceVectors.of(SPACE, DAY1, users, z_UZ), world.consume(world.settings, model, DAY1)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_manifest_counts_and_sums_up_every_file(world: World) -> None:
    space, consumer = _parts(world)
    entry = publish(world.settings, space, [consumer], {"encoder": {"data_hash": "abc"}})
    folder = world.settings.published_dir / entry.path
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["space_id"], manifest["partition"]) == (SPACE, "2026-11-01")
    assert manifest["as_of"] == "2026-11-02T00:00:00+00:00"
    assert (manifest["num_users"], manifest["dimension"]) == (40, 8)
    assert manifest["consumers"]["matching"]["num_items"] == 20
    assert manifest["consumers"]["matching"]["num_vectors_per_user"] == 1
    assert manifest["consumers"]["matching"]["num_users"] == 36
    assert manifest["consumers"]["matching"]["num_seen"] == 72
    assert manifest["lineage"] == {"encoder": {"data_hash": "abc"}}
    assert manifest["losses"] == measure_losses(space.vectors_UZ)
    assert set(manifest["files"]) == set(_files(folder)) - {"manifest.json"}
    np.testing.assert_array_equal(np.load(folder / "vectors.npy"), space.vectors_UZ)


def test_publishing_again_leaves_the_same_bytes(world: World) -> None:
    space, consumer = _parts(world)
    first = publish(world.settings, space, [consumer])
    before = _files(world.settings.published_dir)
    assert publish(world.settings, space, [consumer]) == first
    assert _files(world.settings.published_dir) == before


def test_another_home_gets_the_same_bytes(world: World, tmp_path: Path) -> None:
    space, consumer = _parts(world)
    publish(world.settings, space, [consumer])
    other = replace(world.settings, home=tmp_path / "other")
    publish(other, space, [consumer])
    assert _files(other.published_dir) == _files(world.settings.published_dir)


def test_the_hash_tells_content_day_and_models_apart(world: World) -> None:
    space, consumer = _parts(world)
    arrays = {"vectors": space.vectors_UZ}
    moved = {"vectors": space.vectors_UZ + np.float32(1e-3)}
    newer = replace(consumer, model=replace(consumer.model, version="v2"))
    hashes = [
        content_hash(space, [consumer], arrays),
        content_hash(space, [consumer], moved),
        content_hash(replace(space, partition=DAY2), [consumer], arrays),
        content_hash(space, [newer], arrays),
        content_hash(space, [], arrays),
    ]
    assert len(set(hashes)) == 5
    assert content_hash(space, [consumer], arrays) == hashes[0]


def test_a_changed_byte_is_found(world: World) -> None:
    space, consumer = _parts(world)
    folder = world.settings.published_dir / publish(world.settings, space, [consumer]).path
    verify(folder)
    path = folder / "vectors.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(AttuneError, match=r"expected sha256 \w{12}, found \w{12} at .*vectors.npy"):
        publish(world.settings, space, [consumer])
    path.unlink()
    with pytest.raises(AttuneError, match="found no file at"):
        verify(folder)


def test_a_consumer_of_another_space_leaves_nothing(world: World) -> None:
    space, consumer = _parts(world)
    with pytest.raises(SpaceMismatch):
        publish(world.settings, replace(space, space_id="20261102-bbbbbbbb"), [consumer])
    assert not world.settings.published_dir.exists()


def test_a_failure_while_writing_leaves_nothing_visible(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    space, consumer = _parts(world)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left"):
        publish(world.settings, space, [consumer])
    assert _files(world.settings.published_dir) == {}


def test_a_space_without_consumers_or_users_can_be_published(world: World) -> None:
    empty = SpaceVectors.of(SPACE, DAY1, [], np.empty((0, 8), dtype=np.float32))
    entry = publish(world.settings, empty)
    assert entry.consumers == {}
    assert np.load(world.settings.published_dir / entry.path / "vectors.npy").shape == (0, 8)
