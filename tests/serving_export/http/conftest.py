"""Servers with keys, and tokens for them; whoever first sees that the pointer has moved waits for what it names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from serving_export.access.book import change_book, read_book, utc_now
from serving_export.access.tokens import SCOPES, issue
from tests.serving_export.world import World

Bearer = Callable[..., dict[str, str]]


@pytest.fixture(autouse=True)
def _until_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine even a small snapshot may take longer to open than a request is to wait for it."""
    monkeypatch.setattr("serving_export.http.served.PATIENCE_S", 30.0)


@pytest.fixture
def bearer(world: World) -> Bearer:
    """Make keys in the home, and return what gives a team's header for some scopes, all unless named."""
    path = world.settings.access_path
    change_book(path, lambda book: book.rotated(timedelta(days=30), utc_now()))

    def header(team: str = "search", *scopes: str) -> dict[str, str]:
        token = issue(read_book(path), team, scopes or SCOPES, timedelta(days=1), utc_now())
        return {"authorization": f"Bearer {token}"}

    return header
