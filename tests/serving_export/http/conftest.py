"""Servers with keys, and tokens for them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from serving_export.access.book import change_book, read_book, utc_now
from serving_export.access.tokens import SCOPES, issue
from tests.serving_export.world import World

Bearer = Callable[..., dict[str, str]]


@pytest.fixture
def bearer(world: World) -> Bearer:
    """Make keys in the home, and return what gives a team's header for some scopes, all unless named."""
    path = world.settings.access_path
    change_book(path, lambda book: book.rotated(timedelta(days=30), utc_now()))

    def header(team: str = "search", *scopes: str) -> dict[str, str]:
        token = issue(read_book(path), team, scopes or SCOPES, timedelta(days=1), utc_now())
        return {"authorization": f"Bearer {token}"}

    return header
