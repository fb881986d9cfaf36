"""The served spaces over HTTP."""

from __future__ import annotations

from fastapi.testclient import TestClient

from serving_export.http.app import build_app
from tests.serving_export.world import DAY1, DAY2, World


def test_live_first_with_all_that_a_reader_chooses_by(world: World) -> None:
    client = TestClient(build_app(world.settings))
    assert client.get("/spaces").status_code == 503
    first, second = world.promote(DAY1, DAY2)
    found = client.get("/spaces").json()
    assert found["sequence"] == 2
    assert [(space["space_id"], space["role"]) for space in found["spaces"]] == [(second, "live"), (first, "legacy")]
    live = found["spaces"][0]
    assert (live["dimension"], live["num_users"], live["partition"]) == (8, 41, "2026-11-02")
    assert set(live["losses"]) == {"float16", "int8"}
    assert live["consumers"]["matching"]["num_items"] == 20
    assert found["spaces"][1]["history"] == ["2026-11-01"]
    assert live["frame"] == f"frame-{first}"
    assert [space["residual"] for space in found["spaces"]] == [0.05, None]
    frame = {"frame": f"frame-{first}", "in_force": True, "space_id": second, "pinned_by": []}
    assert found["frames"] == [{**frame, "history": ["2026-11-01", "2026-11-02"]}]
