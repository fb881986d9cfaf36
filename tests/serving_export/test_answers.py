"""Answers are plain JSON values with all that a reader must know."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np

from serving_export.answers import embeddings_bytes, embeddings_json, neighbours_json, ranking_json, standing_json
from serving_export.embeddings import Embeddings, Standing
from serving_export.lookup import Ranking

ABOUT = {
    "space_id": "20261101-aaaaaaaa",
    "frame": "",
    "partition": "2026-11-01",
    "as_of": "2026-11-02T00:00:00+00:00",
    "age": 86401.0,
    "stale": True,
}
STANDING = Standing(
    space_id="20261101-aaaaaaaa",
    partition="2026-11-01",
    as_of=datetime(2026, 11, 2, tzinfo=UTC),
    age=timedelta(days=1, seconds=1),
    stale=True,
)


def _found(vector: list[float]) -> Embeddings:
    vectors = np.array([vector], dtype=np.float32)
    return Embeddings(virtual=("a",), user_ids=("a",), vectors=vectors, unknown=("b",), **vars(STANDING))


def test_a_lookup_repeats_its_space_and_age_for_each_user() -> None:
    values = json.loads(json.dumps(embeddings_json(_found([0.5, -1.0]))))
    assert values == {
        **ABOUT,
        "users": [{"user_id": "a", "vector": [0.5, -1.0], "virtual": True, **ABOUT}],
        "unknown": ["b"],
    }


def test_all_that_was_asked_for_is_there_in_its_order_where_the_caller_wants_it() -> None:
    users = embeddings_json(_found([0.5, -1.0]), ["b", "a", "b"])["users"]
    assert [(user["user_id"], user["vector"]) for user in users] == [("b", None), ("a", [0.5, -1.0]), ("b", None)]


def test_text_has_each_float32_as_short_as_it_can_be_and_reads_back_the_same() -> None:
    found = _found([0.1, 1e-30])
    text = embeddings_bytes(found)
    assert b'"vector":[0.1,1e-30]' in text
    np.testing.assert_array_equal(np.float32(json.loads(text)["users"][0]["vector"]), found.vectors[0])
    assert {**json.loads(text), "users": []} == {**embeddings_json(found), "users": []}


def test_neighbours_are_null_for_one_that_is_not_known() -> None:
    found = Ranking(query="u", ids=("x",), scores=np.array([0.25], dtype=np.float32))
    assert neighbours_json("u", found, STANDING) == {"query": "u", "ids": ["x"], "scores": [0.25], **ABOUT}
    assert neighbours_json("v", None, STANDING) == {"query": "v", "ids": None, "scores": None, **ABOUT}
    assert standing_json(STANDING) == ABOUT


def test_a_ranking_names_its_model_and_space() -> None:
    ranking = Ranking(query="u", ids=("x", "y"), scores=np.array([2.0, 1.25], dtype=np.float32), consumer="matching")
    values = ranking_json(ranking, {"version": "v1", "space_id": "20261101-aaaaaaaa"}, STANDING)
    assert json.loads(json.dumps(values)) == {
        "query": "u",
        "ids": ["x", "y"],
        "scores": [2.0, 1.25],
        "consumer": "matching",
        "fallback": False,
        **ABOUT,
        "version": "v1",
    }


def test_a_ranking_by_popularity_says_that_it_is_no_consumers() -> None:
    ranking = Ranking(query="u", ids=("x",), scores=np.ones(1, np.float32), consumer="popularity")
    values = ranking_json(ranking, {"version": "2026-11-01", "space_id": "20261101-aaaaaaaa"}, STANDING)
    assert (values["consumer"], values["fallback"], values["version"]) == ("popularity", True, "2026-11-01")
