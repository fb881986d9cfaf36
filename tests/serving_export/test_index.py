"""The index finds what a full product finds, or falls back to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving_export import index as index_module
from serving_export.index import ApproximateConsumer, build_index, measure_recall, open_index, search, write_index
from serving_export.lookup import EmbeddingStore
from tests.serving_export.world import DAY1, World, noise


def test_search_finds_nearly_all_of_the_highest_inner_products(tmp_path: Path) -> None:
    vectors, queries = noise("vectors", 3000, 16), noise("queries", 50, 16)
    build_index(vectors, tmp_path / "index")
    index = open_index(tmp_path / "index")
    hits = 0
    for query in queries:
        exact = set(np.argsort(-(vectors @ query))[:10].tolist())
        hits += len(exact & set(search(index, query, 10).tolist()))
    assert hits / 500 > 0.97
    assert measure_recall(index, queries, vectors) > 0.97


def test_equal_vectors_give_equal_bytes(tmp_path: Path) -> None:
    vectors = noise("vectors", 500, 8)
    for name in ("first", "second"):
        build_index(vectors, tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_no_vectors_give_an_index_that_finds_nothing(tmp_path: Path) -> None:
    build_index(np.empty((0, 4), dtype=np.float32), tmp_path / "index")
    assert search(open_index(tmp_path / "index"), np.ones(4, np.float32), 5).tolist() == []


def test_long_rows_do_not_hide_the_others(tmp_path: Path) -> None:
    vectors, queries = noise("vectors", 3000, 16), noise("queries", 50, 16)
    vectors[:300] *= 5
    queries[:, 0] = np.abs(queries[:, 0])
    vectors[:300, 0] = -np.abs(vectors[:300, 0])
    build_index(vectors, tmp_path / "index")
    assert measure_recall(open_index(tmp_path / "index"), queries, vectors) > 0.97


@pytest.fixture
def indexed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every side, however small, be answered for by its index."""
    monkeypatch.setattr(index_module, "EXACT_VALUES", {"item": 0, "user": 0})
    monkeypatch.setattr(index_module, "_is_worth_a_search", lambda *_: True)


def answered_by(world: World) -> dict[str, dict[str, Any]]:
    """Return what the manifest of the live snapshot says of its indexes."""
    found: dict[str, dict[str, Any]] = EmbeddingStore(world.settings.published_dir).snapshot.manifest["consumers"]
    return found["matching"]["indexes"]


def test_what_a_product_can_answer_gets_no_index(world: World) -> None:
    world.promote(DAY1)
    consumer = EmbeddingStore(world.settings.published_dir).consumer("matching")
    assert answered_by(world) == {"users": {"answers_by": "product"}, "items": {"answers_by": "product"}}
    assert not list(consumer.folder.glob("*.hnsw"))
    assert ApproximateConsumer(consumer).target("i03", 3).ids == consumer.target("i03", 3).ids


@pytest.mark.usefixtures("indexed")
def test_the_manifest_says_how_much_an_index_finds(world: World) -> None:
    world.promote(DAY1)
    found = {"answers_by": "index", "recall@20": 1.0}
    assert answered_by(world) == {"users": {**found, "num_queries": 20}, "items": {**found, "num_queries": 36}}


def test_an_index_that_misses_too_much_is_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, queries = noise("vectors", 3000, 32), noise("queries", 30, 32)
    monkeypatch.setattr(index_module, "EXACT_VALUES", {"item": 0, "user": 0})
    monkeypatch.setattr(index_module, "SEARCH_BREADTH", 1)
    told = write_index(tmp_path, "user", queries, vectors)
    assert told["answers_by"] == "product"
    assert told["recall@20"] < index_module.MIN_RECALL
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("is_indexed", [True, False])
def test_rankings_agree_with_the_exact_ones(world: World, monkeypatch: pytest.MonkeyPatch, is_indexed: bool) -> None:
    if is_indexed:
        monkeypatch.setattr(index_module, "EXACT_VALUES", {"item": 0, "user": 0})
    world.promote(DAY1)
    exact = EmbeddingStore(world.settings.published_dir).consumer("matching")
    near = ApproximateConsumer(exact)
    for drop_seen in (True, False):
        assert near.target("i03", 3, drop_seen=drop_seen).ids == exact.target("i03", 3, drop_seen=drop_seen).ids
        found, wanted = near.recommend("u07", 2, drop_seen=drop_seen), exact.recommend("u07", 2, drop_seen=drop_seen)
        assert found.ids == wanted.ids
        np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-5)


@pytest.mark.usefixtures("indexed")
def test_seen_items_are_left_out_of_what_the_index_finds(world: World) -> None:
    world.promote(DAY1)
    near = ApproximateConsumer(EmbeddingStore(world.settings.published_dir).consumer("matching"))
    assert not {"i03", "i04"} & set(near.recommend("u03", 18).ids)
    assert {"i03", "i04"} <= set(near.recommend("u03", 20, drop_seen=False).ids)


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize("drop_seen", [True, False])
def test_a_search_with_each_vector_of_a_user_and_their_union_agree_with_the_exact_maximum(
    world: World, drop_seen: bool
) -> None:
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
