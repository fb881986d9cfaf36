"""Every request has its line and its counts, whatever became of it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from serving_export.http.accounting import Accounting
from serving_export.http.metrics import Metrics
from serving_export.http.tally import Tally, current_tally


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
