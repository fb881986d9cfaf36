"""Items over HTTP are those of the frame, in every form, and of no other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from serving_export.http.app import build_app
from serving_export.vector_bytes import decode
from tests.serving_export.world import DAY1, DAY2, World, noise
from training.contracts.frames import frame_of

ASKED = ["i04", "nothing", "i01"]


@pytest.fixture
def spaces(world: World) -> list[str]:
    return world.promote(DAY1, DAY2)


@pytest.fixture
def client(world: World, spaces: list[str]) -> TestClient:
    return TestClient(build_app(world.settings))


def ask(client: TestClient, frame: str, **body: Any) -> Any:
    return client.post("/items", json={"item_ids": ASKED, "frame": frame, "on_unknown": "null", **body})


def test_every_form_gives_the_same_float32(client: TestClient, spaces: list[str]) -> None:
    frame, expected = frame_of(spaces[0]), noise(f"items {spaces[1]}", 20, 4)[[4, 1]]
    told = ask(client, frame).json()
    assert [item["item_id"] for item in told["items"]] == ASKED
    assert told["items"][1]["vector"] is None
    np.testing.assert_array_equal(np.float32([told["items"][n]["vector"] for n in (0, 2)]), expected)
    binary = decode(ask(client, frame, format="binary").content)
    np.testing.assert_array_equal(binary.vectors[[0, 2]], expected)
    assert (binary.frame, binary.space_id, binary.is_known.tolist()) == (frame, spaces[1], [True, False, True])
    table = pa.ipc.open_stream(ask(client, frame, format="arrow").content).read_all()
    assert table["item_id"].to_pylist() == ASKED
    np.testing.assert_array_equal(np.float32(table["vector"].drop_null().to_pylist()), expected)
    one = client.get("/items/i04/embedding", params={"frame": frame})
    np.testing.assert_array_equal(np.float32(one.json()["vector"]), expected[0])
    assert one.headers["x-frame"] == one.json()["frame"] == told["frame"] == frame
    assert {"as_of", "age", "stale", "partition"} < set(one.json())
    left = ask(client, frame, on_unknown="ignore").json()
    assert ([item["item_id"] for item in left["items"]], left["unknown"]) == (["i04", "i01"], ["nothing"])


def test_a_space_may_be_named_beside_the_frame(client: TestClient, spaces: list[str]) -> None:
    told = ask(client, frame_of(spaces[0]), space=spaces[0]).json()
    np.testing.assert_array_equal(np.float32(told["items"][0]["vector"]), noise(f"items {spaces[0]}", 20, 4)[4])


def test_unknown_items_other_frames_and_none_are_refused(client: TestClient, spaces: list[str]) -> None:
    frame = frame_of(spaces[0])
    refused = ask(client, frame, on_unknown="raise")
    assert refused.status_code == 404
    assert "found 1 unknown ('nothing')" in refused.json()["error"]
    assert client.get("/items/nothing/embedding", params={"frame": frame}).status_code == 404
    null = client.get("/items/nothing/embedding", params={"frame": frame, "on_unknown": "null"})
    assert (null.status_code, null.json()["vector"]) == (200, None)
    assert ask(client, frame_of(spaces[1])).status_code == 409
    assert client.get("/items/i04/embedding").status_code == 422
    for body in ({"frame": None}, {"dtype": "int8"}, {"format": "float32"}, {"item_ids": ["i"] * 10_001}):
        assert ask(client, **{"frame": frame, **body}).status_code == 422, body
