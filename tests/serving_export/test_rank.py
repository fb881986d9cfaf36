"""Ranking files agree with the rankings of single queries, and are written whole or not at all."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.parquet as pq
import pytest

from serving_export import rank as rank_module
from serving_export.lookup import Consumer, EmbeddingStore
from serving_export.rank import write_rankings
from serving_export.snapshot import Snapshot
from tests.serving_export.world import DAY1, World
from training.contracts.errors import AttuneError, UnknownId


@pytest.fixture
def snapshot(world: World) -> Snapshot:
    world.promote(DAY1)
    return EmbeddingStore(world.settings.published_dir).snapshot


@pytest.fixture
def consumer(snapshot: Snapshot) -> Consumer:
    return snapshot.consumer("matching")


def _read(path: Path) -> dict[str, list[str]]:
    lines = (line.split("\t") for line in path.read_text().splitlines())
    return {query: ids.split() for query, ids in lines}


@pytest.mark.parametrize("drop_seen", [True, False])
@pytest.mark.parametrize("chunk", [1, 45, 8_000_000])
def test_every_line_is_the_ranking_of_its_query(
    snapshot: Snapshot, consumer: Consumer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drop_seen: bool, chunk: int
) -> None:
    monkeypatch.setattr(rank_module, "CHUNK_SCORES", chunk)
    out = tmp_path / "out.tsv"
    answered = write_rankings(snapshot, "matching", "recommend", out, k=7, drop_seen=drop_seen)
    assert answered == {"matching": 36, "popularity": 4}
    found = _read(out)
    assert len(found) == 40
    for user, items in found.items():
        answer = consumer if int(user[1:]) % 10 else snapshot.popularity
        expected = consumer.recommend(user, 7, drop_seen=drop_seen) if answer is consumer else answer.recommend(user, 7)
        assert tuple(items) == expected.ids


def test_targeting_ranks_users_for_items(snapshot: Snapshot, consumer: Consumer, tmp_path: Path) -> None:
    out = tmp_path / "out.tsv"
    assert write_rankings(snapshot, "matching", "target", out, k=50) == {"matching": 20}
    for item, users in _read(out).items():
        assert tuple(users) == consumer.target(item, 50).ids


@pytest.mark.parametrize("chunk", [1, 8_000_000])
def test_users_of_several_vectors_are_ranked_by_their_best(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(rank_module, "CHUNK_SCORES", chunk)
    world.num_vectors = 3
    world.promote(DAY1)
    snapshot = EmbeddingStore(world.settings.published_dir).snapshot
    consumer = snapshot.consumer("matching")
    assert (consumer.users.num_vectors, consumer.items.num_vectors) == (3, 1)
    out = tmp_path / "out.tsv"
    assert write_rankings(snapshot, "matching", "recommend", out, k=5) == {"matching": 36, "popularity": 4}
    found = {user: items for user, items in _read(out).items() if int(user[1:]) % 10}
    assert len(found) == 36
    assert all(tuple(items) == consumer.recommend(user, 5).ids for user, items in found.items())
    assert write_rankings(snapshot, "matching", "target", out, k=5) == {"matching": 20}
    assert all(tuple(users) == consumer.target(item, 5).ids for item, users in _read(out).items())


def test_ids_come_in_the_order_given(snapshot: Snapshot, tmp_path: Path) -> None:
    out = tmp_path / "out.tsv"
    write_rankings(snapshot, "matching", "recommend", out, ids=["u07", "u02"])
    assert list(_read(out)) == ["u07", "u02"]


def test_unknown_ids_raise_or_lose_their_line(
    snapshot: Snapshot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out.tsv"
    ids = ["u07", "someone", "nobody"]
    with pytest.raises(UnknownId, match="found 2 unknown \\(first 'someone'\\)"):
        write_rankings(snapshot, "matching", "recommend", out, ids=ids, on_unknown="raise")
    assert not out.exists()
    assert write_rankings(snapshot, "matching", "recommend", out, ids=ids) == {"matching": 1}
    assert "2 unknown" in caplog.text
    caplog.clear()
    assert write_rankings(snapshot, "matching", "recommend", out, ids=ids, on_unknown="ignore") == {"matching": 1}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_ids_with_white_space_cannot_be_told_apart_in_a_file(
    snapshot: Snapshot, consumer: Consumer, tmp_path: Path
) -> None:
    consumer.items.ids = consumer.items.ids.copy()
    consumer.items.ids[3] = b"i 3"
    out = tmp_path / "out.tsv"
    with pytest.raises(AttuneError, match=r"ids without white space .* found 'i 3'.*--format parquet, --format jsonl"):
        write_rankings(snapshot, "matching", "recommend", out)
    assert not out.exists()


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_ids_of_any_characters_come_back_as_they_are(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Literal["parquet", "jsonl"]
) -> None:
    monkeypatch.setattr(rank_module, "CHUNK_QUERIES", 7)
    strange = ["\ttab", "a b", "line\nbreak", "quote\"'", "\u2028Ünï 雪"]
    monkeypatch.setattr(world, "users", lambda partition: sorted([*strange, *(f"u{n:02d}" for n in range(5, 40))]))
    world.promote(DAY1)
    store = EmbeddingStore(world.settings.published_dir)
    out = tmp_path / f"out.{form}"
    assert write_rankings(store.snapshot, "matching", "recommend", out, k=4) == {"matching": 36, "popularity": 4}
    text = form == "jsonl"
    found = [json.loads(line) for line in out.read_text().split("\n")[:-1]] if text else pq.read_table(out).to_pylist()
    assert [row["query"] for row in found] == sorted(row["query"] for row in found)
    assert {row["query"] for row in found} >= set(strange)
    for row in found:
        ranking = store.recommend(row["query"], 4)
        assert (tuple(row["ids"]), row["consumer"]) == (ranking.ids, ranking.consumer)
        np.testing.assert_allclose(row["scores"], ranking.scores, atol=1e-4)


def test_a_form_that_is_named_goes_before_the_ending(snapshot: Snapshot, tmp_path: Path) -> None:
    write_rankings(snapshot, "matching", "target", tmp_path / "out.tsv", k=2, ids=["i03"], form="jsonl")
    assert json.loads((tmp_path / "out.tsv").read_text())["query"] == "i03"


def test_k_must_be_positive(snapshot: Snapshot, tmp_path: Path) -> None:
    with pytest.raises(AttuneError, match="k of at least 1"):
        write_rankings(snapshot, "matching", "recommend", tmp_path / "out.tsv", k=0)


def test_users_without_history_are_answered_for_by_cold_start(world: World, tmp_path: Path) -> None:
    world.cold = True
    world.promote(DAY1)
    snapshot = EmbeddingStore(world.settings.published_dir).snapshot
    out = tmp_path / "out.tsv"
    assert write_rankings(snapshot, "matching", "recommend", out, k=5) == {"matching": 36, "cold_start": 4}
    found = _read(out)
    assert list(found) == sorted(found)
    assert tuple(found["u20"]) == snapshot.consumer("cold_start").recommend("u20", 5).ids
    assert tuple(found["u21"]) == snapshot.consumer("matching").recommend("u21", 5).ids
    assert write_rankings(snapshot, "cold_start", "recommend", out, k=5) == {"cold_start": 40}
    assert write_rankings(snapshot, "matching", "target", out, k=5) == {"matching": 20}
    ids = ["u20", "u01", "u10"]
    assert write_rankings(snapshot, "matching", "recommend", out, k=5, ids=ids) == {"matching": 1, "cold_start": 2}
    assert list(_read(out)) == ids
