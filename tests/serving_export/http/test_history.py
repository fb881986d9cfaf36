"""Past vectors over HTTP are the library's, as Parquet."""

from __future__ import annotations

import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from serving_export.http.app import build_app
from serving_export.http.history import PARQUET
from serving_export.refresh import refresh_embeddings
from tests.serving_export.test_past_vectors import vectors_of
from tests.serving_export.world import DAY1, DAY2, DAY3, World

ROWS = {
    "user_ids": ["u05", "u05", "u40", "nobody"],
    "as_of": ["2026-11-02T12:00:00+02:00", "2026-11-03", "2026-11-02T00:00:00", "2026-11-03T00:00:00Z"],
}


@pytest.fixture
def client(world: World) -> TestClient:
    world.promote(DAY1)
    refresh_embeddings(world.settings, DAY2, world.sources)
    return TestClient(build_app(world.settings))


def test_each_row_has_the_vector_of_its_moment(world: World, client: TestClient) -> None:
    answer = client.post("/history", json=ROWS)
    assert (answer.status_code, answer.headers["content-type"], answer.headers["x-unknown"]) == (200, PARQUET, "2")
    space_id = answer.headers["x-space-id"]
    rows = pq.read_table(io.BytesIO(answer.content)).to_pylist()
    assert [row["partition"] for row in rows] == [str(DAY1), str(DAY2), None, None]
    for row, day in zip(rows[:2], (DAY1, DAY2), strict=True):
        np.testing.assert_array_equal(np.float32(row["vector"]), vectors_of(world, space_id, day)["u05"])
    assert rows[2]["vector"] is None
    assert "x-as-of" not in answer.headers, "each row has its own"


def test_a_frame_is_read_over_spaces(world: World, client: TestClient) -> None:
    (second,) = world.promote(DAY3)
    served = client.get("/spaces").json()
    frame = served["frames"][0]
    assert (frame["in_force"], frame["space_id"]) == (True, second)
    assert frame["history"] == [str(DAY1), str(DAY2), str(DAY3)]
    moments = ["2026-11-02", "2026-11-03", "2026-11-04"]
    answer = client.post("/history", json={"user_ids": ["u05"] * 3, "as_of": moments, "frame": frame["frame"]})
    assert (answer.headers["x-frame"], answer.headers["x-space-id"]) == (frame["frame"], "")
    table = pq.read_table(io.BytesIO(answer.content))
    assert table.schema.metadata[b"frame"].decode() == frame["frame"]
    first = served["spaces"][1]["space_id"]
    assert table["space_id"].to_pylist() == [first, first, second]
    of_now = client.get("/users/u05/embedding", params={"frame": frame["frame"]}).json()["vector"]
    np.testing.assert_array_equal(np.float32(table["vector"][2].as_py()), np.float32(of_now))


def test_users_unknown_at_their_moment_may_be_refused(client: TestClient) -> None:
    answer = client.post("/history", json={**ROWS, "on_unknown": "raise"})
    assert answer.status_code == 404
    assert "found 2 rows of others, first 'u40'" in answer.json()["error"]


def test_other_spaces_frames_and_broken_rows_are_refused(client: TestClient) -> None:
    for change, status in (
        ({"space_id": "20260101-00000000"}, 409),
        ({"frame": "f"}, 409),
        ({"as_of": ["2026-11-03"]}, 422),
        ({"as_of": ["yesterday"] * 4}, 422),
        ({"user_ids": ["u"] * 10_001, "as_of": ["2026-11-03"] * 10_001}, 422),
    ):
        assert client.post("/history", json={**ROWS, **change}).status_code == status, change


def test_no_rows_give_a_file_without_rows(client: TestClient) -> None:
    answer = client.post("/history", json={"user_ids": [], "as_of": []})
    assert pq.read_table(io.BytesIO(answer.content)).num_rows == 0


def test_moments_beyond_every_calendar_are_refused_or_unknown(client: TestClient) -> None:
    for moment in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        answer = client.post("/history", json={"user_ids": ["u05"], "as_of": [moment]})
        assert answer.status_code in (200, 422)
