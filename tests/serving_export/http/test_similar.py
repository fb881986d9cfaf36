"""Similar users and items over HTTP are the library's, one or many, with unknown ones by policy."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from serving_export.http.app import build_app
from serving_export.lookup import EmbeddingStore
from serving_export.neighbours import Neighbourhoods
from tests.serving_export.world import DAY1, DAY2, World


@pytest.fixture
def client(world: World) -> TestClient:
    world.promote(DAY1, DAY2)
    return TestClient(build_app(world.settings))


def test_one_user_and_many_users(world: World, client: TestClient) -> None:
    snapshot = EmbeddingStore(world.settings.published_dir).snapshot
    [expected] = Neighbourhoods().users(snapshot).find(["u05"], 4)
    one = client.get("/similar-users/u05", params={"k": 4}).json()
    assert tuple(one["ids"]) == expected.ids
    assert (one["query"], one["space_id"], one["stale"]) == ("u05", snapshot.entry.space_id, True)
    asked = {"user_ids": ["u01", "nobody", "u05"], "k": 4, "on_unknown": "null"}
    many = client.post("/similar-users", json=asked).json()["neighbours"]
    assert [(each["query"], each["ids"] is None) for each in many] == [("u01", False), ("nobody", True), ("u05", False)]
    assert many[2] == {**one, "age": many[2]["age"]}


def test_users_of_a_frame_are_compared_in_it(world: World, client: TestClient) -> None:
    store = EmbeddingStore(world.settings.published_dir)
    frame = store.snapshot.entry.frame
    [expected] = Neighbourhoods().users(store.snapshot, framed=True).find(["u05"], 4)
    answer = client.get("/similar-users/u05", params={"k": 4, "frame": frame})
    assert (tuple(answer.json()["ids"]), answer.json()["frame"], answer.headers["x-frame"]) == (
        expected.ids,
        frame,
        frame,
    )


def test_one_item_and_many_items_name_the_consumers_model(world: World, client: TestClient) -> None:
    store = EmbeddingStore(world.settings.published_dir)
    [expected] = Neighbourhoods().items(store.snapshot, "matching").find(["i03"], 3)
    one = client.get("/similar-items/i03", params={"k": 3}).json()
    assert tuple(one["ids"]) == expected.ids
    assert (one["consumer"], one["version"]) == ("matching", store.model("matching")["version"])
    many = client.post("/similar-items", json={"item_ids": ["i03", "i99"], "k": 3, "on_unknown": "null"}).json()
    assert [each["ids"] for each in many["neighbours"]] == [one["ids"], None]


def test_of_a_named_space(world: World, client: TestClient) -> None:
    first = world.ledger.spaces()[0].space_id
    assert client.get("/similar-users/u05", params={"space_id": first}).json()["space_id"] == first
    assert client.post("/similar-items", json={"item_ids": ["i03"], "space_id": "x"}).status_code == 409


def test_unknown_ones_and_consumers_are_refused(client: TestClient) -> None:
    for path in ("/similar-users/nobody", "/similar-items/i99"):
        assert client.get(path).status_code == 404
    answer = client.get("/similar-items/i03", params={"consumer": "nobody"})
    assert answer.status_code == 404
    assert answer.json()["consumers"] == ["matching"]
    assert client.post("/similar-users", json={"user_ids": ["u"] * 101}).status_code == 422
    assert client.get("/similar-users/u05", params={"k": 0}).status_code == 422


def test_nobody_asked_for_is_answered_by_nothing(client: TestClient) -> None:
    assert client.post("/similar-users", json={"user_ids": []}).json() == {"neighbours": []}
