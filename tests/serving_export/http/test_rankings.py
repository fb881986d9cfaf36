"""Many rankings at once are those of one after another; unknown ones by policy."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from serving_export.http.app import build_app
from tests.serving_export.world import DAY1, World


@pytest.fixture
def client(world: World) -> TestClient:
    world.promote(DAY1)
    return TestClient(build_app(world.settings))


def without_age(ranking: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in ranking.items() if name != "age"}


@pytest.mark.parametrize(("path", "name", "asked"), [("recommend", "user_ids", "u2{}"), ("target", "item_ids", "i0{}")])
def test_many_are_as_one_after_another(client: TestClient, path: str, name: str, asked: str) -> None:
    ids = [asked.format(number) for number in range(4)]
    many = client.post(f"/{path}", json={name: ids, "k": 3, "drop_seen": False}).json()["rankings"]
    one_by_one = [client.get(f"/{path}/{one}", params={"k": 3, "drop_seen": False}).json() for one in ids]
    assert [without_age(one) for one in many] == [without_age(one) for one in one_by_one]
    assert {"space_id", "as_of", "stale", "partition", "frame", "version"} <= set(many[0])


@pytest.mark.parametrize(("path", "name"), [("recommend", "user_ids"), ("target", "item_ids")])
def test_an_unknown_one_refuses_all_or_is_null(client: TestClient, path: str, name: str) -> None:
    known = "u05" if path == "recommend" else "i05"
    body = {name: [known, "nobody"]}
    assert client.post(f"/{path}", json=body).status_code == 404
    many = client.post(f"/{path}", json={**body, "on_unknown": "null"}).json()["rankings"]
    assert [one["ids"] is None for one in many] == [False, True]
    one = client.get(f"/{path}/nobody", params={"on_unknown": "null"}).json()
    assert (one["query"], one["ids"], one["fallback"]) == ("nobody", None, False)


def test_unknown_users_may_have_what_most_users_have_met(client: TestClient) -> None:
    for policy in ("popular", "popularity"):
        [one] = client.post("/recommend", json={"user_ids": ["nobody"], "on_unknown": policy}).json()["rankings"]
        assert (one["consumer"], one["fallback"]) == ("popularity", True)
    assert client.post("/target", json={"item_ids": ["i99"], "on_unknown": "popular"}).status_code == 422


def test_a_consumer_that_is_not_served_is_unknown_with_the_list(client: TestClient) -> None:
    for answer in (
        client.get("/recommend/u05", params={"consumer": "nobody"}),
        client.get("/target/i05", params={"consumer": "nobody"}),
        client.post("/recommend", json={"user_ids": [], "consumer": "nobody"}),
    ):
        assert answer.status_code == 404
        assert answer.json()["consumers"] == ["matching"]


def test_more_than_a_hundred_are_too_many(client: TestClient) -> None:
    assert client.post("/recommend", json={"user_ids": ["u05"] * 101}).status_code == 422
