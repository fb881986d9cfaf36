"""A space is pinned by either of its names, and what is unknown is answered as it is asked to be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fastapi.testclient import TestClient

from serving_export.http.app import build_app
from serving_export.http.inputs import Pin, one_pin
from tests.serving_export.world import DAY1, DAY2, World
from training.contracts.errors import SpaceMismatch

ROUTES = ["/users/u05/embedding", "/recommend/u05", "/target/i05"]


@pytest.fixture
def client(world: World) -> TestClient:
    world.promote(DAY1, DAY2)
    return TestClient(build_app(world.settings))


def test_two_names_of_one_space_must_agree() -> None:
    assert one_pin("a", None, None) == one_pin(None, "a", None) == one_pin("a", "a", None) == Pin("a")
    assert one_pin(None, None, "f") == Pin(None, "f")
    with pytest.raises(SpaceMismatch):
        one_pin("a", "b", None)


@pytest.mark.parametrize("path", ROUTES)
def test_every_answer_says_of_which_space_and_how_old_it_is(client: TestClient, path: str) -> None:
    answer = client.get(path)
    told = answer.json()
    assert told["as_of"] == answer.headers["x-as-of"] == "2026-11-03T00:00:00+00:00"
    assert told["space_id"] == answer.headers["x-space-id"]
    assert told["stale"] is (answer.headers["x-stale"] == "true")
    assert math.isclose(told["age"], float(answer.headers["x-age"]), abs_tol=5)
    assert told["age"] > 0


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("name", ["space", "space_id"])
def test_a_pin_is_kept_or_refused(world: World, client: TestClient, path: str, name: str) -> None:
    first = client.get("/status").json()["legacy"]["space_id"]
    kept = client.get(path, params={name: first})
    assert (kept.json()["space_id"], kept.headers["x-space-id"]) == (first, first)
    assert client.get(path, params={name: "20260101-00000000"}).status_code == 409
    both = client.get(path, params={"space": first, "space_id": "20260101-00000000"})
    assert both.status_code == 409
    framed = client.get(path, params={"frame": "frame-2026-1"})
    assert framed.status_code == 409
    assert "expected frame-2026-1, found" in framed.json()["error"]


def test_a_batch_is_pinned_too(client: TestClient) -> None:
    first = client.get("/status").json()["legacy"]["space_id"]
    body = {"user_ids": ["u05"]}
    assert client.post("/embeddings", json={**body, "space": first}).json()["space_id"] == first
    for pin in ({"space": "x"}, {"space_id": "x"}, {"frame": "x"}, {"space": first, "space_id": "x"}):
        assert client.post("/embeddings", json={**body, **pin}).status_code == 409


def test_unknown_users_of_a_batch(client: TestClient) -> None:
    asked = ["u05", "nobody", "u01"]
    statuses = {}
    for policy in ("raise", "null", "ignore", "popular"):
        answer = client.post("/embeddings", json={"user_ids": asked, "on_unknown": policy})
        statuses[policy] = answer.status_code
        if policy == "null":
            users = answer.json()["users"]
            assert [user["user_id"] for user in users] == asked
            assert [user["vector"] is None for user in users] == [False, True, False]
            assert answer.json()["unknown"] == ["nobody"]
    assert statuses == {"raise": 404, "null": 200, "ignore": 200, "popular": 422}
    raw = client.post("/embeddings", json={"user_ids": asked, "on_unknown": "null", "format": "float32"})
    assert np.isnan(np.frombuffer(raw.content, "<f4").reshape(3, -1)[1]).all()


def test_one_unknown_user_or_item(client: TestClient) -> None:
    for path in ("/users/nobody/embedding", "/recommend/nobody", "/target/nothing"):
        assert client.get(path).status_code == 404
        answer = client.get(path, params={"on_unknown": "null"})
        told = answer.json()
        assert answer.status_code == 200
        assert (told["vector"] if "vector" in told else told["ids"]) is None
        assert told["space_id"] == answer.headers["x-space-id"]
        assert "age" in told
    for name in ("popular", "popularity"):
        told = client.get("/recommend/nobody", params={"on_unknown": name}).json()
        assert told["fallback"] is True
        assert told["ids"]
    assert client.get("/target/nothing", params={"on_unknown": "popular"}).status_code == 422


@pytest.mark.parametrize("path", ["/recommend/u05", "/target/i05", "/recommend/nobody"])
def test_an_unknown_consumer_is_told_which_there_are(client: TestClient, path: str) -> None:
    answer = client.get(path, params={"consumer": "nothing", "on_unknown": "null"})
    assert answer.status_code == 404
    assert answer.json()["consumers"] == ["matching"]
    assert "found matching" in answer.json()["error"]
