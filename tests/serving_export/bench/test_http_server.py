"""The benchmarked server is the product's, of the home that the environment names."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from serving_export.bench.http_server import app
from tests.serving_export.world import DAY1, World


def test_it_serves_the_home(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    [space_id] = world.promote(DAY1)
    monkeypatch.setenv("ATTUNE_HOME", str(world.settings.home))
    assert TestClient(app()).get("/readyz").json()["space_id"] == space_id
