"""Ranking files agree with the rankings of single queries, and are written whole or not at all."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from serving_export import rank as rank_module
from serving_export.lookup import Consumer, EmbeddingStore
from serving_export.rank import write_rankings
from tests.serving_export.world import DAY1, World
from training.contracts.errors import AttuneError, UnknownId


@pytest.fixture
def consumer(world: World) -> Consumer:
    world.promote(DAY1)
    return EmbeddingStore(world.settings.published_dir).consumer("matching")


def _read(path: Path) -> dict[str, list[str]]:
    lines = (line.split("\t") for line in path.read_text().splitlines())
    return {query: ids.split() for query, ids in lines}


@pytest.mark.parametrize("drop_seen", [True, False])
@pytest.mark.parametrize("chunk", [1, 45, 8_000_000])
def test_every_line_is_the_ranking_of_its_query(
    consumer: Consumer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drop_seen: bool, chunk: int
) -> None:
    monkeypatch.setattr(rank_module, "CHUNK_SCORES", chunk)
    out = tmp_path / "out.tsv"
    assert write_rankings(consumer, "recommend", out, k=7, drop_seen=drop_seen) == 36
    found = _read(out)
    assert len(found) == 36
    for user, items in found.items():
        assert tuple(items) == consumer.recommend(user, 7, drop_seen=drop_seen).ids


def test_targeting_ranks_users_for_items(consumer: Consumer, tmp_path: Path) -> None:
    out = tmp_path / "out.tsv"
    assert write_rankings(consumer, "target", out, k=50) == 20
    for item, users in _read(out).items():
        assert tuple(users) == consumer.target(item, 50).ids


@pytest.mark.parametrize("chunk", [1, 8_000_000])
def test_users_of_several_vectors_are_ranked_by_their_best(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(rank_module, "CHUNK_SCORES", chunk)
    world.num_vectors = 3
    world.promote(DAY1)
    consumer = EmbeddingStore(world.settings.published_dir).consumer("matching")
    assert (consumer.users.num_vectors, consumer.items.num_vectors) == (3, 1)
    out = tmp_path / "out.tsv"
    assert write_rankings(consumer, "recommend", out, k=5) == 36
    assert all(tuple(items) == consumer.recommend(user, 5).ids for user, items in _read(out).items())
    assert write_rankings(consumer, "target", out, k=5) == 20
    assert all(tuple(users) == consumer.target(item, 5).ids for item, users in _read(out).items())


def test_ids_come_in_the_order_given(consumer: Consumer, tmp_path: Path) -> None:
    out = tmp_path / "out.tsv"
    write_rankings(consumer, "recommend", out, ids=["u07", "u02"])
    assert list(_read(out)) == ["u07", "u02"]


def test_unknown_ids_raise_or_lose_their_line(
    consumer: Consumer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out.tsv"
    ids = ["u07", "u10", "nobody"]
    with pytest.raises(UnknownId, match="found 2 unknown \\(first 'u10'\\)"):
        write_rankings(consumer, "recommend", out, ids=ids, on_unknown="raise")
    assert not out.exists()
    assert write_rankings(consumer, "recommend", out, ids=ids) == 1
    assert "2 unknown" in caplog.text
    caplog.clear()
    assert write_rankings(consumer, "recommend", out, ids=ids, on_unknown="ignore") == 1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_ids_with_white_space_cannot_be_told_apart_in_a_file(consumer: Consumer, tmp_path: Path) -> None:
    consumer.items.ids = consumer.items.ids.copy()
    consumer.items.ids[3] = b"i 3"
    with pytest.raises(AttuneError, match=r"item ids without white space .* found 'i 3'"):
        write_rankings(consumer, "recommend", tmp_path / "out.tsv")


def test_k_must_be_positive(consumer: Consumer, tmp_path: Path) -> None:
    with pytest.raises(AttuneError, match="k of at least 1"):
        write_rankings(consumer, "recommend", tmp_path / "out.tsv", k=0)
