"""The server answers as the store does, with a status code for each refusal, and follows the pointer."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fastapi.testclient import TestClient

from serving_export.http.app import build_app
from serving_export.http.served import Served
from serving_export.lookup import EmbeddingStore
from serving_export.pin import pin
from serving_export.pointer_moves import rollback
from serving_export.refresh import refresh_embeddings
from tests.serving_export.world import DAY1, DAY2, DAY3, World
from training.registry.pointer import POINTER, read_pointer


@pytest.fixture
def client(world: World) -> TestClient:
    return TestClient(build_app(world.settings))


def test_before_the_first_promotion_it_is_alive_and_not_ready(client: TestClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "promote a space first" in answer.json()["error"]
    assert client.get("/status").json()["live"] is None
    assert client.get("/healthz").json() == {"alive": True}


def test_one_user(world: World, client: TestClient) -> None:
    [space_id] = world.promote(DAY1)
    answer = client.get("/users/u05/embedding").json()
    expected = EmbeddingStore(world.settings.published_dir).lookup(["u05"])
    np.testing.assert_array_equal(np.float32(answer["vector"]), expected.vectors[0])
    assert (answer["space_id"], answer["as_of"]) == (space_id, "2026-11-02T00:00:00+00:00")
    assert client.get("/users/nobody/embedding").status_code == 404


def test_many_users_as_json_or_raw_rows(world: World, client: TestClient) -> None:
    [space_id] = world.promote(DAY1)
    asked = ["u05", "nobody", "u01"]
    assert client.post("/embeddings", json={"user_ids": asked}).status_code == 404
    answer = client.post("/embeddings", json={"user_ids": asked, "on_unknown": "ignore"}).json()
    assert ([user["user_id"] for user in answer["users"]], answer["unknown"]) == (["u05", "u01"], ["nobody"])
    raw = client.post("/embeddings", json={"user_ids": asked, "on_unknown": "ignore", "format": "float32"})
    assert (raw.headers["x-space-id"], raw.headers["x-shape"]) == (space_id, "3,8")
    rows = np.frombuffer(raw.content, dtype="<f4").reshape(3, 8)
    np.testing.assert_array_equal(rows[[0, 2]], np.float32([user["vector"] for user in answer["users"]]))
    assert np.isnan(rows[1]).all()


def test_a_space_that_is_not_served_is_a_conflict(world: World, client: TestClient) -> None:
    first, _ = world.promote(DAY1, DAY2)
    assert client.get("/users/u05/embedding", params={"space_id": first}).json()["space_id"] == first
    answer = client.post("/embeddings", json={"user_ids": ["u05"], "space_id": "20260101-00000000"})
    assert answer.status_code == 409
    assert "expected space 20260101-00000000" in answer.json()["error"]


def test_a_frame_is_served_like_a_space(world: World, client: TestClient) -> None:
    first, second = world.promote(DAY1, DAY2)
    frame = f"frame-{first}"
    expected = EmbeddingStore(world.settings.published_dir).lookup(["u05"], frame=frame).vectors
    one = client.get("/users/u05/embedding", params={"frame": frame}).json()
    assert (one["frame"], one["space_id"]) == (frame, second)
    np.testing.assert_array_equal(np.float32(one["vector"]), expected[0])
    raw = client.post("/embeddings", json={"user_ids": ["u05"], "frame": frame, "format": "float32"})
    assert (raw.content, raw.headers["x-frame"]) == (expected.tobytes(), frame)
    refused = client.get("/users/u05/embedding", params={"frame": "frame-x"})
    assert (refused.status_code, frame in refused.json()["error"]) == (409, True)


def test_rankings(world: World, client: TestClient) -> None:
    world.promote(DAY1)
    store = EmbeddingStore(world.settings.published_dir)
    answer = client.get("/recommend/u03", params={"k": 4}).json()
    assert tuple(answer["ids"]) == store.recommend("u03", 4).ids
    assert answer["version"] == store.model("matching")["version"]
    seen = client.get("/recommend/u03", params={"k": 20, "drop_seen": False}).json()
    assert {"i03", "i04"} <= set(seen["ids"])
    assert tuple(client.get("/target/i04", params={"k": 3}).json()["ids"]) == store.target("i04", 3).ids
    assert client.get("/target/i99").status_code == 404
    answer = client.get("/recommend/u03", params={"consumer": "cold_start"})
    assert (answer.status_code, answer.json()["consumers"]) == (404, ["matching"])
    assert client.get("/recommend/u03", params={"k": 0}).status_code == 422


def test_it_follows_the_pointer_forwards_and_back(world: World, client: TestClient) -> None:
    first, second = world.promote(DAY1, DAY2)
    assert client.get("/readyz").json() == {"space_id": second, "partition": "2026-11-02", "sequence": 2}
    refresh_embeddings(world.settings, DAY3, world.sources)
    assert client.get("/users/u41/embedding").json()["partition"] == "2026-11-03"
    rollback(world.settings)
    assert client.get("/users/u41/embedding").json()["space_id"] == first


def test_the_store_stays_open_while_the_pointer_stays(world: World) -> None:
    world.promote(DAY1)
    served = Served(world.settings)
    store = served.store()
    assert served.store() is store
    assert served.indexes(store.snapshot, "matching") is served.indexes(store.snapshot, "matching")
    refresh_embeddings(world.settings, DAY2, world.sources)
    assert served.store() is not store


def test_a_user_without_history_is_answered_for_by_cold_start(world: World, client: TestClient) -> None:
    world.cold = True
    world.promote(DAY1)
    answer = client.get("/recommend/u20").json()
    assert (answer["consumer"], answer["version"]) == ("cold_start", "cold")
    assert client.get("/recommend/u21").json()["consumer"] == "matching"
    assert client.get("/users/u20/embedding").json()["virtual"] is True


def test_without_cold_start_popularity_answers_and_says_so(world: World, client: TestClient) -> None:
    [space_id] = world.promote(DAY1)
    answer = client.get("/recommend/u20", params={"k": 3}).json()
    assert (answer["consumer"], answer["fallback"], answer["space_id"]) == ("popularity", True, space_id)
    assert tuple(answer["ids"]) == EmbeddingStore(world.settings.published_dir).recommend("u20", 3).ids
    assert client.get("/recommend/nobody").status_code == 404
    assert client.get("/recommend/nobody", params={"on_unknown": "popularity"}).json()["ids"][:3] == answer["ids"]
    assert client.get("/recommend/u21").json()["fallback"] is False


def test_rankings_of_a_named_space_and_of_a_pinned_consumer(world: World, client: TestClient) -> None:
    first, second = world.promote(DAY1, DAY2)
    of_first = client.get("/recommend/u03", params={"space_id": first}).json()
    assert (of_first["space_id"], client.get("/recommend/u03").json()["space_id"]) == (first, second)
    assert client.get("/target/i03", params={"space_id": first}).json()["space_id"] == first
    assert client.get("/recommend/u03", params={"space_id": "20260101-00000000"}).status_code == 409
    pin(world.settings, "matching", first, world.sources)
    assert client.get("/recommend/u03").json()["ids"] == of_first["ids"]


@pytest.mark.parametrize("torn", ["{", '{"live": {}}'])
def test_a_pointer_that_cannot_be_read_leaves_the_last_snapshot_answering(
    world: World, client: TestClient, torn: str
) -> None:
    [space_id] = world.promote(DAY1)
    assert client.get("/users/u05/embedding").status_code == 200
    whole = (world.settings.published_dir / POINTER).read_text()
    (world.settings.published_dir / POINTER).write_text(torn)
    assert client.get("/users/u05/embedding").json()["space_id"] == space_id
    (world.settings.published_dir / POINTER).write_text(whole)
    assert client.get("/users/u05/embedding").status_code == 200


def test_a_snapshot_whose_bytes_have_changed_never_answers(world: World, client: TestClient) -> None:
    world.promote(DAY1)
    assert client.get("/users/u05/embedding").json()["partition"] == "2026-11-01"
    refresh_embeddings(world.settings, DAY2, world.sources)
    path = world.settings.published_dir / read_pointer(world.settings.published_dir).live.path / "vectors.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert client.get("/users/u05/embedding").json()["partition"] == "2026-11-01"


def test_input_that_breaks_the_contract_is_neither_an_error_of_the_server_nor_sent_back(
    world: World, client: TestClient
) -> None:
    world.promote(DAY1)
    headers = {"content-type": "application/json"}
    half = '{"user_ids": ["\\ud800"], "on_unknown": "ignore"}'
    for body in (
        half,
        '{"user_ids": ["u05"], "space_id": "\\ud800"}',
        '{"user_ids": ["u05"], "space_id": NaN}',
        '{"user_ids": "secret"}',
        "{",
    ):
        answer = client.post("/embeddings", content=body, headers=headers)
        assert answer.status_code in (404, 422), body
        assert "secret" not in answer.text


def test_messages_name_no_folder_of_the_server(world: World, client: TestClient) -> None:
    missing = client.get("/readyz").json()["error"]
    world.promote(DAY1)
    unknown = client.get("/users/nobody/embedding").json()["error"]
    assert "published/pointer.json" in missing
    for text in (missing, unknown):
        assert str(world.settings.home) not in text


def test_a_locked_ledger_holds_up_no_lookup(world: World, client: TestClient) -> None:
    world.promote(DAY1)
    client.get("/readyz")
    with sqlite3.connect(world.settings.home / "ledger.db", isolation_level=None) as other:
        other.execute("begin exclusive")
        started = time.monotonic()
        with ThreadPoolExecutor(40) as pool:
            asked = [pool.submit(client.get, "/status") for _ in range(40)]
            assert client.get("/users/u05/embedding").status_code == 200
            assert time.monotonic() - started < 5
            assert {answer.result().status_code for answer in asked} == {503}
        assert time.monotonic() - started < 15
        other.execute("rollback")
    assert client.get("/status").status_code == 200


@pytest.mark.integration
def test_a_half_sent_request_does_not_hold_up_the_end_of_the_server(world: World) -> None:
    world.promote(DAY1)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "serving_export", "serve", "--port", str(port)]
    server = subprocess.Popen(command, env={**os.environ, "ATTUNE_HOME": str(world.settings.home)})
    try:
        half = _connected(port)
        half.sendall(b"POST /embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        with _connected(port) as other:
            other.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b"200 OK" in other.recv(1000)
        server.terminate()
        assert server.wait(10) == 0
        half.close()
    finally:
        server.kill()
        server.wait()


def _connected(port: int) -> socket.socket:
    for _ in range(600):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise AssertionError("the server did not start")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (r'{"user_ids": ["u05", "\ud83d"], "on_unknown": "ignore"}', 200),
        (r'{"user_ids": ["\ud83d"]}', 404),
        ('{"user_ids": [NaN]}', 422),
        ('{"user_ids": ["u05"], "on_unknown": NaN}', 422),
        (r'{"user_ids": "\ud83d"}', 422),
        (r'{"user_ids": ["u05"], "space_id": "\ud83d"}', 409),
        ('{"user_ids": [Infinity, {"a": NaN}]}', 422),
        ('{"user_ids": ', 422),
    ],
)
def test_no_request_breaks_the_server(world: World, body: str, status: int) -> None:
    world.promote(DAY1)
    client = TestClient(build_app(world.settings), raise_server_exceptions=False)
    answer = client.post("/embeddings", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (status, 422)
    assert answer.json()


def test_a_path_that_is_not_utf8_is_an_unknown_user(world: World) -> None:
    world.promote(DAY1)
    client = TestClient(build_app(world.settings), raise_server_exceptions=False)
    for path in ("/users/%ED%A0%BD/embedding", "/recommend/%FF", "/target/%ED%A0%BD"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_the_description_loads_nothing_from_another_host(client: TestClient, page: str) -> None:
    loaded = re.findall(r"(?:href|src|url)[=:]\s*[\"']([^\"']+)[\"']", client.get(page).text)
    assert len(loaded) >= 2
    for address in loaded:
        assert address.startswith("/"), address
        assert client.get(address).status_code == 200
