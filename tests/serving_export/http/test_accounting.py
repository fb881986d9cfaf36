"""Every request has its line and its counts, whatever became of it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from serving_export.http.accounting import Accounting
from serving_export.http.app import build_app
from serving_export.http.metrics import Metrics
from serving_export.http.tally import Tally, current_tally
from tests.serving_export.world import DAY1, World
from training.contracts.frames import frame_of


class Noted(Metrics):
    """Metrics that remember what they were told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, str, int]] = []

    def answered(self, tally: Tally, route: str, method: str, status: int, seconds: float) -> None:
        assert 0 <= seconds < 10
        self.told.append((tally.team, route, status))


@pytest.fixture
def metrics() -> Noted:
    return Noted()


@pytest.fixture
def app(metrics: Noted) -> FastAPI:
    app = FastAPI()

    @app.get("/users/{user_id}")
    def read(user_id: str) -> str:
        current_tally().team = "search"
        return user_id

    @app.get("/broken/{what}")
    def break_down(what: str) -> str:
        raise RuntimeError("broken")

    app.add_middleware(Accounting, metrics=metrics)
    return app


def test_routes_are_named_by_their_template(app: FastAPI, metrics: Noted, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "serving_export.access")
    client = TestClient(app, raise_server_exceptions=False)
    for path in ("/users/u05", "/broken/u06", "/.env", "/users/u07/x"):
        client.get(path)
    client.post("/users/u08")
    assert metrics.told == [
        ("search", "/users/{user_id}", 200),
        ("-", "/broken/{what}", 500),
        ("-", "unmatched", 404),
        ("-", "unmatched", 404),
        ("-", "/users/{user_id}", 405),
    ]
    lines = [record.getMessage() for record in caplog.records if record.name == "serving_export.access"]
    assert len(lines) == 5
    assert not any(name in line for line in lines for name in ("u05", "u06", "env", "u07", "u08"))
    assert lines[0].startswith("team=search method=GET route=/users/{user_id} status=200 ms=")


COUNTED: list[tuple[str, dict[str, Any], int, int]] = [
    ("/embeddings", {"user_ids": ["u05", "nobody"], "on_unknown": "null"}, 2, 1),
    ("/items", {"item_ids": ["i01", "i02", "nothing"], "on_unknown": "ignore"}, 3, 1),
    ("/similar-users", {"user_ids": ["u05", "nobody"], "on_unknown": "null"}, 2, 1),
    ("/similar-items", {"item_ids": ["i01", "nothing"], "on_unknown": "null"}, 2, 1),
    ("/recommend", {"user_ids": ["u05", "nobody"], "on_unknown": "null"}, 2, 1),
    ("/recommend", {"user_ids": ["u10", "nobody"], "on_unknown": "popular"}, 2, 1),
    ("/target", {"item_ids": ["i01", "nothing"], "on_unknown": "null"}, 2, 1),
    ("/history", {"user_ids": ["u05", "u05"], "as_of": ["2026-11-03", "2020-01-01"]}, 2, 1),
    ("/get-online-features", {"features": ["user_embedding:vector"], "entities": {"user_id": ["u05", "nobody"]}}, 2, 1),
    ("/embeddings", {"user_ids": ["nobody"]}, 1, 1),
]


@pytest.mark.parametrize(("path", "body", "num_keys", "num_unknown"), COUNTED)
def test_every_route_accounts_for_ids_and_unknown_ones(
    world: World, path: str, body: dict[str, Any], num_keys: int, num_unknown: int
) -> None:
    (space_id,) = world.promote(DAY1)
    if path == "/items":
        body = {**body, "frame": frame_of(space_id)}
    if "entities" in body:
        body = {**body, "entities": {**body["entities"], "space_id": [space_id] * 2}}
    client = TestClient(build_app(world.settings))
    assert client.post(path, json=body).status_code in (200, 404)
    counts = client.get("/metrics").text
    assert f'attune_keys_total{{team="local"}} {num_keys:.1f}' in counts
    assert f'attune_unknown_ids_total{{team="local"}} {num_unknown:.1f}' in counts


def test_a_client_that_leaves_is_no_error_of_the_server(app: FastAPI, metrics: Noted) -> None:
    async def gone(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError("nothing is to be sent")

    scope = {"type": "http", "method": "GET", "path": "/users/u05", "headers": [], "app": app}
    asyncio.run(Accounting(gone, metrics)(scope, receive, send))
    assert metrics.told == [("-", "/users/{user_id}", 499)]
