"""Vectors over HTTP: one value in every form, unknown users by policy, nothing of another space or frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from serving_export.http import vectors
from serving_export.http.app import build_app
from serving_export.lookup import EmbeddingStore
from serving_export.vector_bytes import MEDIA_TYPE, decode
from tests.serving_export.world import DAY1, World

ASKED = ["u05", "nobody", "u01", "u05"]


@pytest.fixture
def client(world: World) -> TestClient:
    world.promote(DAY1)
    return TestClient(build_app(world.settings))


@pytest.fixture
def expected(world: World, client: TestClient) -> np.ndarray:
    """The vectors of the store itself, NaN for an unknown user."""
    rows = np.full((4, 8), np.nan, np.float32)
    rows[[0, 2, 3]] = EmbeddingStore(world.settings.published_dir).lookup(["u05", "u01", "u05"]).vectors
    return rows


def ask(client: TestClient, **body: Any) -> Any:
    answer = client.post("/embeddings", json={"user_ids": ASKED, "on_unknown": "null", **body})
    assert answer.status_code == 200, answer.text
    return answer


def test_every_form_gives_the_same_float32(client: TestClient, expected: np.ndarray) -> None:
    binary = ask(client, format="binary")
    rows = decode(binary.content)
    assert binary.headers["content-type"] == MEDIA_TYPE
    np.testing.assert_array_equal(rows.vectors, expected)
    table = pa.ipc.open_stream(ask(client, format="arrow").content).read_all()
    assert table["user_id"].to_pylist() == ASKED
    in_table = [np.full(8, np.nan) if row is None else row for row in table["vector"].to_pylist()]
    np.testing.assert_array_equal(np.float32(in_table), expected)
    found = ask(client).json()
    in_json = [np.full(8, np.nan) if user["vector"] is None else user["vector"] for user in found["users"]]
    np.testing.assert_array_equal(np.float32(in_json), expected)
    assert [user["user_id"] for user in found["users"]] == ASKED
    raw = np.frombuffer(ask(client, format="float32").content, "<f4").reshape(4, 8)
    np.testing.assert_array_equal(raw, expected)
    one = client.get("/users/u05/embedding").json()
    np.testing.assert_array_equal(np.float32(one["vector"]), expected[0])
    assert rows.space_id == found["space_id"] == one["space_id"] == table.schema.metadata[b"space_id"].decode()
    assert rows.as_of.isoformat() == found["as_of"] == table.schema.metadata[b"as_of"].decode()
    assert (rows.frame, found["frame"]) == ("", "")


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_fewer_bits_lose_what_the_snapshot_says(client: TestClient, expected: np.ndarray, dtype: str) -> None:
    binary = decode(ask(client, format="binary", dtype=dtype).content).vectors
    table = pa.ipc.open_stream(ask(client, format="arrow", dtype=dtype).content).read_all()
    numbers = np.array([np.zeros(8) if row is None else row for row in table["vector"].to_pylist()], np.float32)
    scales = np.float32(table["scale"].fill_null(np.nan)) if dtype == "int8" else np.float32([1, np.nan, 1, 1])
    np.testing.assert_array_equal(numbers * scales[:, None], binary)
    known = [0, 2, 3]
    errors = np.linalg.norm(binary[known] - expected[known], axis=1) / np.linalg.norm(expected[known], axis=1)
    stated = client.get("/spaces").json()["spaces"][0]["losses"][dtype]
    assert 0 < errors.max() <= stated["relative_error_max"] + 1e-6
    assert np.isnan(binary[1]).all()


@pytest.mark.parametrize("form", ["json", "binary", "arrow", "float32"])
def test_an_unknown_user_is_refused_unless_the_caller_says_otherwise(client: TestClient, form: str) -> None:
    answer = client.post("/embeddings", json={"user_ids": ASKED, "format": form})
    assert answer.status_code == 404
    assert "'nobody'" in answer.json()["error"]


def test_json_leaves_unknown_users_out_on_demand(client: TestClient) -> None:
    found = ask(client, on_unknown="ignore").json()
    assert ([user["user_id"] for user in found["users"]], found["unknown"]) == (["u05", "u01", "u05"], ["nobody"])


def test_one_unknown_user_is_null_on_demand(client: TestClient) -> None:
    assert client.get("/users/nobody/embedding").status_code == 404
    found = client.get("/users/nobody/embedding", params={"on_unknown": "null"}).json()
    assert (found["user_id"], found["vector"], found["partition"]) == ("nobody", None, "2026-11-01")


def test_nobody_asked_for_gives_no_rows(client: TestClient) -> None:
    for form in ("json", "binary", "arrow", "float32"):
        assert client.post("/embeddings", json={"user_ids": [], "format": form}).status_code == 200
    assert decode(client.post("/embeddings", json={"user_ids": [], "format": "binary"}).content).vectors.shape == (0, 8)


def test_large_lookups_take_the_same_way(client: TestClient, expected: np.ndarray, monkeypatch: Any) -> None:
    monkeypatch.setattr(vectors, "_AT_ONCE", dict.fromkeys(vectors._AT_ONCE, 0))
    np.testing.assert_array_equal(decode(ask(client, format="binary").content).vectors, expected)


@pytest.mark.parametrize("path", ["/users/u05/embedding", "/similar-users/u05"])
def test_a_frame_that_is_not_served_is_a_conflict(client: TestClient, path: str) -> None:
    answers = [
        client.get(path, params={"frame": "20260101-00000000"}),
        client.post("/embeddings", json={"user_ids": ["u05"], "frame": "20260101-00000000"}),
    ]
    for answer in answers:
        assert answer.status_code == 409
        assert "20260101-00000000" in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        {"user_ids": ["u05"], "dtype": "int8"},
        {"user_ids": ["u05"], "dtype": "int8", "format": "float32"},
        {"user_ids": ["u05"], "dtype": "bfloat16", "format": "binary"},
        {"user_ids": ["u05"], "format": "xml"},
        {"user_ids": ["u05"], "on_unknown": "popular"},
        {"user_ids": ["u"] * 10_001},
        {},
    ],
)
def test_what_is_not_offered_is_refused(client: TestClient, body: dict[str, Any]) -> None:
    answer = client.post("/embeddings", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("expected a request as /docs describes it, found body")
    assert len(answer.text) < 500


def test_the_description_names_the_body_and_its_forms(client: TestClient) -> None:
    described = client.get("/openapi.json").json()["paths"]["/embeddings"]["post"]
    body = described["requestBody"]["content"]["application/json"]["schema"]
    assert {"user_ids", "space", "space_id", "frame", "on_unknown", "format", "dtype"} == set(body["properties"])
    assert MEDIA_TYPE in described["responses"]["200"]["content"]
