"""The benchmarked server is the product's, of the home that the environment names."""

from __future__ import annotations

from fastapi.testclient import TestClient

from serving_export.bench.http_server import KEPT_OPEN_S, config
from serving_export.http.protocol import BoundedProtocol
from tests.serving_export.world import DAY1, World


def test_it_serves_the_home_as_the_product_does(world: World) -> None:
    [space_id] = world.promote(DAY1)
    found = config(world.settings, "127.0.0.1", 0)
    found.load()
    assert TestClient(found.loaded_app).get("/readyz").json()["space_id"] == space_id
    assert (found.http_protocol_class, found.timeout_keep_alive) == (BoundedProtocol, KEPT_OPEN_S)
