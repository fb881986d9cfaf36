"""The index finds what a full product finds, or falls back to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from usearch.index import Index

from serving_export import index as index_module
from serving_export.index import ApproximateConsumer, build_index, search
from serving_export.lookup import EmbeddingStore
from tests.serving_export.world import DAY1, World, noise


def test_search_finds_nearly_all_of_the_highest_inner_products(tmp_path: Path) -> None:
    vectors, queries = noise("vectors", 3000, 16), noise("queries", 50, 16)
    build_index(vectors, tmp_path / "index")
    index = Index.restore(str(tmp_path / "index"))
    hits = 0
    for query in queries:
        exact = set(np.argsort(-(vectors @ query))[:10].tolist())
        hits += len(exact & set(search(index, query, 10).tolist()))
    assert hits / 500 > 0.9


def test_equal_vectors_give_equal_bytes(tmp_path: Path) -> None:
    vectors = noise("vectors", 500, 8)
    for name in ("first", "second"):
        build_index(vectors, tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_no_vectors_give_an_index_that_finds_nothing(tmp_path: Path) -> None:
    build_index(np.empty((0, 4), dtype=np.float32), tmp_path / "index")
    assert search(Index.restore(str(tmp_path / "index")), np.ones(4, np.float32), 5).tolist() == []


@pytest.mark.parametrize("exact_rows", [0, 20_000])
def test_rankings_agree_with_the_exact_ones(world: World, monkeypatch: pytest.MonkeyPatch, exact_rows: int) -> None:
    monkeypatch.setattr(index_module, "EXACT_ROWS", exact_rows)
    world.promote(DAY1)
    exact = EmbeddingStore(world.settings.published_dir).consumer("matching")
    near = ApproximateConsumer(exact)
    for drop_seen in (True, False):
        assert near.target("i03", 3, drop_seen=drop_seen).ids == exact.target("i03", 3, drop_seen=drop_seen).ids
        found, wanted = near.recommend("u07", 2, drop_seen=drop_seen), exact.recommend("u07", 2, drop_seen=drop_seen)
        assert found.ids == wanted.ids
        np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-5)


def test_seen_items_are_left_out_of_what_the_index_finds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "EXACT_ROWS", 0)
    monkeypatch.setattr(index_module, "_is_worth_a_search", lambda *_: True)
    world.promote(DAY1)
    near = ApproximateConsumer(EmbeddingStore(world.settings.published_dir).consumer("matching"))
    assert not {"i03", "i04"} & set(near.recommend("u03", 18).ids)
    assert {"i03", "i04"} <= set(near.recommend("u03", 20, drop_seen=False).ids)


@pytest.mark.parametrize("drop_seen", [True, False])
def test_a_search_with_each_vector_of_a_user_and_their_union_agree_with_the_exact_maximum(
    world: World, monkeypatch: pytest.MonkeyPatch, drop_seen: bool
) -> None:
    monkeypatch.setattr(index_module, "_is_worth_a_search", lambda *_: True)
    world.num_vectors = 4
    world.promote(DAY1)
    exact = EmbeddingStore(world.settings.published_dir).consumer("matching")
    near = ApproximateConsumer(exact)
    for query, k in (("u07", 1), ("u33", 5), ("u38", 20)):
        found = near.recommend(query, k, drop_seen=drop_seen)
        wanted = exact.recommend(query, k, drop_seen=drop_seen)
        assert found.ids == wanted.ids
        np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-5)
    for query, k in (("i03", 1), ("i11", 10), ("i19", 36)):
        found = near.target(query, k, drop_seen=drop_seen)
        assert found.ids == exact.target(query, k, drop_seen=drop_seen).ids
        assert len(set(found.ids)) == len(found.ids)
