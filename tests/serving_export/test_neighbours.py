"""Neighbours are the nearest by cosine, themselves left out, for as long as their snapshot is open."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from serving_export import neighbours
from serving_export.erasure.requests import file_request
from serving_export.lookup import EmbeddingStore
from serving_export.neighbours import Neighbourhoods, Neighbours
from serving_export.packed import pack_ids
from tests.serving_export.world import DAY1, World
from training.contracts.errors import AttuneError, UnknownConsumer, UnknownId

IDS = pack_ids(["a", "b", "c", "d", "e"])
VECTORS = np.float32([[1, 0], [9, 1], [0, 2], [-1, 0], [0, 0]])


def test_the_nearest_come_first_whatever_their_length() -> None:
    [found] = Neighbours(IDS, VECTORS, "user").find(["a"], 4)
    assert found.ids == ("b", "c", "e", "d")
    np.testing.assert_allclose(found.scores, [9 / np.sqrt(82), 0, 0, -1], atol=1e-6)


def test_many_are_answered_in_their_order_in_pieces_or_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["c", "a", "e", "a"]
    at_once = list(Neighbours(IDS, VECTORS, "user").find(asked, 2))
    monkeypatch.setattr(neighbours, "CHUNK_SCORES", 7)
    in_pieces = list(Neighbours(IDS, VECTORS, "user").find(asked, 2))
    assert [one.query for one in at_once] == asked
    assert [one.ids for one in in_pieces] == [one.ids for one in at_once]


def test_it_is_the_order_of_drifts_neighbours() -> None:
    from training.evaluation.drift import nearest_neighbours

    vectors = np.random.default_rng(3).normal(size=(60, 6)).astype(np.float32)
    ids = [f"u{n:02d}" for n in range(60)]
    expected = nearest_neighbours(vectors, np.arange(60), 7)
    for row, found in enumerate(Neighbours(pack_ids(ids), vectors, "user").find(ids, 7)):
        assert found.ids == tuple(ids[other] for other in expected[row])


def test_an_unknown_one_and_none_at_all_are_refused() -> None:
    found = Neighbours(IDS, VECTORS, "item")
    assert found.known(["x", "a"]) == [False, True]
    with pytest.raises(UnknownId, match="unknown item 'x'"):
        list(found.find(["a", "x"], 1))
    with pytest.raises(AttuneError, match="k of at least 1"):
        list(found.find(["a"], 0))


def test_they_go_with_their_snapshot(world: World) -> None:
    world.promote(DAY1)
    store = EmbeddingStore(world.settings.published_dir)
    kept = Neighbourhoods()
    assert kept.users(store.snapshot) is kept.users(store.snapshot)
    assert kept.items(store.snapshot, "matching") is not kept.users(store.snapshot)
    framed = kept.users(store.snapshot, framed=True)
    assert framed._vectors_NZ is store.snapshot.framed_vectors
    assert framed is not kept.users(store.snapshot)
    with pytest.raises(UnknownConsumer, match="nobody"):
        kept.items(store.snapshot, "nobody")
    assert len(kept._found) == 1
    del store
    gc.collect()
    assert len(kept._found) == 0


def test_an_erased_user_is_neither_answered_nor_listed(world: World) -> None:
    world.promote(DAY1)
    users = Neighbourhoods().users(EmbeddingStore(world.settings.published_dir).snapshot)
    [before] = users.find(["u05"], 6)
    file_request(world.settings, before.ids[:2], "asked")
    [after] = users.find(["u05"], 4)
    assert after.ids == before.ids[2:]
    assert users.known([before.ids[0], "u05"]) == [False, True]
    with pytest.raises(UnknownId, match=before.ids[1]):
        list(users.find(["u05", before.ids[1]], 3))
