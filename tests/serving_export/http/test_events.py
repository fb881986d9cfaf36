"""Events over HTTP are checked as they come, and are on their way when the request is answered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from fastapi.testclient import TestClient
from redis import Redis

from serving_export.erasure.requests import file_request
from serving_export.http.app import build_app
from serving_export.stream import redis_streams
from serving_export.stream.redis_streams import stream_key
from training.settings import Settings

EVENT = {"event_id": "e1", "user_id": "u", "item_id": "i", "event_type": "click", "occurred_at": "2026-02-01T10:00:00Z"}
USER = {"user_id": "u", "valid_from": "2026-02-01T10:00:00Z", "onboarding_item_ids": ["a", "b"]}


@pytest.fixture
def settings(tmp_path: Path, server: int) -> Settings:
    return Settings.from_env({"ATTUNE_HOME": str(tmp_path), "ATTUNE_STREAM": f"redis://127.0.0.1:{server}/0"})


def test_rows_are_appended_users_first(settings: Settings, redis: Redis) -> None:
    answer = TestClient(build_app(settings)).post("/events", json={"interactions": [EVENT], "users": [USER]})
    assert (answer.status_code, answer.json()) == (202, {"appended": {"users": 1, "interactions": 1}})
    entries = [fields for _, fields in redis.xrange(stream_key(0))]
    assert [(one[b"table"], orjson.loads(one[b"row"])) for one in entries] == [
        (b"users", USER),
        (b"interactions", EVENT),
    ]


def test_one_row_that_breaks_the_contract_refuses_all(settings: Settings, redis: Redis) -> None:
    rows = [EVENT, {**EVENT, "event_id": "e2", "occurred_at": "tomorrow"}]
    answer = TestClient(build_app(settings)).post("/events", json={"interactions": rows, "users": [{}]})
    assert answer.status_code == 422
    refused = [(one["table"], one["row"], one["column"], one["reason"]) for one in answer.json()["refused"]]
    assert refused == [
        ("users", 0, "user_id", "missing required value"),
        ("interactions", 1, "occurred_at", "wrong type"),
    ]
    assert redis.xlen(stream_key(0)) == 0


@pytest.mark.parametrize("body", [{"interactions": ["text"]}, {"users": 3}, {"interactions": [EVENT] * 1001}, []])
def test_what_is_no_rows_is_refused(settings: Settings, redis: Redis, body: object) -> None:
    assert TestClient(build_app(settings)).post("/events", json=body).status_code == 422


def test_a_full_stream_asks_to_come_again(settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    own = redis_streams.RedisSink
    monkeypatch.setattr(redis_streams, "RedisSink", lambda client, parts: own(client, parts, max_backlog=1))
    client = TestClient(build_app(settings))
    assert client.post("/events", json={"interactions": [EVENT]}).status_code == 202
    answer = client.post("/events", json={"interactions": [EVENT]})
    assert answer.status_code == 503
    assert "no worker has taken in" in answer.json()["error"]


@pytest.mark.parametrize(("stream", "status"), [("", 400), ("redis://127.0.0.1:1/0", 503)])
def test_without_a_stream_it_says_so(settings: Settings, stream: str, status: int) -> None:
    client = TestClient(build_app(replace(settings, stream=stream)))
    answer = client.post("/events", json={"interactions": [EVENT]})
    assert answer.status_code == status
    assert "ATTUNE_STREAM" in answer.json()["error"]


def test_rows_of_erased_users_are_not_appended(settings: Settings, redis: Redis) -> None:
    client = TestClient(build_app(settings))
    file_request(settings, ["u"], "asked")
    rows = [EVENT, {**EVENT, "event_id": "e2", "user_id": "v"}]
    answer = client.post("/events", json={"interactions": rows, "users": [USER]})
    assert (answer.status_code, answer.json()) == (202, {"appended": {"users": 0, "interactions": 1}})
    assert [orjson.loads(fields[b"row"])["user_id"] for _, fields in redis.xrange(stream_key(0))] == ["v"]
