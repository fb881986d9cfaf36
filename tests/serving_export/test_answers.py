"""Answers are plain JSON values with all that a reader must know."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np

from serving_export.answers import embeddings_json, ranking_json
from serving_export.freshness import Freshness
from serving_export.lookup import Embeddings, Ranking

ABOUT = Freshness(
    space_id="20261101-aaaaaaaa",
    partition="2026-11-01",
    as_of=datetime(2026, 11, 2, tzinfo=UTC),
    age=timedelta(days=1, seconds=1),
    stale=True,
)


def test_a_lookup_repeats_its_space_and_age_for_each_user() -> None:
    found = Embeddings(
        virtual=("a",),
        user_ids=("a",),
        vectors=np.array([[0.5, -1.0]], dtype=np.float32),
        unknown=("b",),
        space_id="20261101-aaaaaaaa",
        partition="2026-11-01",
        as_of=datetime(2026, 11, 2, tzinfo=UTC),
        age=timedelta(days=1, seconds=1),
        stale=True,
    )
    about = {
        "space_id": "20261101-aaaaaaaa",
        "partition": "2026-11-01",
        "as_of": "2026-11-02T00:00:00+00:00",
        "age": 86401.0,
        "stale": True,
    }
    values = json.loads(json.dumps(embeddings_json(found)))
    assert values == {
        **about,
        "users": [{"user_id": "a", "vector": [0.5, -1.0], "virtual": True, **about}],
        "unknown": ["b"],
    }


def test_a_ranking_names_its_model_and_space() -> None:
    ranking = Ranking(query="u", ids=("x", "y"), scores=np.array([2.0, 1.25], dtype=np.float32), consumer="matching")
    values = ranking_json(ranking, {"version": "v1", "space_id": "20261101-aaaaaaaa"}, ABOUT)
    assert json.loads(json.dumps(values)) == {
        "query": "u",
        "ids": ["x", "y"],
        "scores": [2.0, 1.25],
        "consumer": "matching",
        "fallback": False,
        "version": "v1",
        **ABOUT.to_json(),
    }


def test_an_unknown_user_keeps_its_place_where_all_are_to_have_one() -> None:
    found = Embeddings(
        user_ids=("a", "a"),
        vectors=np.array([[0.5], [0.5]], dtype=np.float32),
        unknown=("b",),
        **vars(ABOUT),
    )
    entries = embeddings_json(found, ["a", "b", "a"])["users"]
    assert [(entry["user_id"], entry["vector"]) for entry in entries] == [("a", [0.5]), ("b", None), ("a", [0.5])]
    assert all(entry["space_id"] == "20261101-aaaaaaaa" for entry in entries)


def test_a_ranking_by_popularity_says_that_it_is_no_consumers() -> None:
    ranking = Ranking(query="u", ids=("x",), scores=np.ones(1, np.float32), consumer="popularity")
    values = ranking_json(ranking, {"version": "2026-11-01", "space_id": "20261101-aaaaaaaa"}, ABOUT)
    assert (values["consumer"], values["fallback"], values["version"]) == ("popularity", True, "2026-11-01")
