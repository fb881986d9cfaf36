"""The status is asked for by few at once, so that a slow ledger takes no thread from lookups."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from fastapi.testclient import TestClient

from serving_export.http import state
from serving_export.http.app import build_app
from tests.serving_export.world import DAY1, World


def test_whoever_asks_while_others_wait_is_told_to_come_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.promote(DAY1)
    client, asked, answered = TestClient(build_app(world.settings)), threading.Semaphore(0), threading.Event()

    def slow(*_: object, **__: object) -> dict[str, Any]:
        asked.release()
        assert answered.wait(30)
        return {}

    monkeypatch.setattr(state, "status", slow)
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(client.get("/status").status_code))
        for _ in range(state.STATUS_AT_ONCE)
    ]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert asked.acquire(timeout=30)
    refused = client.get("/status")
    answered.set()
    for thread in threads:
        thread.join(30)
    assert (refused.status_code, found) == (503, [200] * state.STATUS_AT_ONCE)
    assert "ask again" in refused.json()["error"]
    assert client.get("/status").status_code == 200
