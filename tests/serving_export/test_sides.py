"""Sides of a consumer say who has interacted with anything, and popularity gives everyone the same."""

from __future__ import annotations

import numpy as np
import pytest

from serving_export.lookup import EmbeddingStore
from serving_export.packed import pack_ids
from serving_export.publish import verify
from serving_export.refresh import refresh_embeddings
from tests.serving_export.world import DAY1, DAY2, DAY3, World
from training.contracts.errors import AttuneError


def test_users_without_history_are_told_from_others_and_from_strangers(world: World) -> None:
    world.promote(DAY1)
    consumer = EmbeddingStore(world.settings.published_dir).consumer("matching")
    asked = pack_ids(["nobody", "u10", "u11", "u12"])
    assert consumer.have_history(asked).tolist() == [False, False, True, True]
    assert consumer.users.num_seen.tolist() == [2] * 36


def test_popularity_is_published_with_checksums_and_refreshed(world: World) -> None:
    world.promote(DAY1)
    snapshot = EmbeddingStore(world.settings.published_dir).snapshot
    assert {"popularity/item_ids.npy", "popularity/scores.npy"} <= set(snapshot.manifest["files"])
    assert snapshot.popularity is not None
    assert (np.diff(snapshot.popularity.scores) <= 0).all()
    with pytest.raises(AttuneError, match="k of at least 1"):
        snapshot.popularity.recommend("u10", 0)
    refresh_embeddings(world.settings, DAY3, world.sources)
    newer = EmbeddingStore(world.settings.published_dir).snapshot
    assert newer.popularity is not None
    assert newer.popularity.scores.sum() > snapshot.popularity.scores.sum()
    path = newer.folder / "popularity" / "scores.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(AttuneError, match="expected sha256"):
        verify(newer.folder)


def test_a_snapshot_without_consumers_has_none(world: World) -> None:
    first = world.promote(DAY1)[0]
    world.ledger.pin("matching", first)
    world.promote(DAY2)
    assert EmbeddingStore(world.settings.published_dir).snapshot.popularity is None
