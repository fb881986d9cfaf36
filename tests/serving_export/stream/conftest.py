"""A server of streams, and a home on disk that was walked through the whole chain."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from serving_export.lookup import EmbeddingStore
from serving_export.packed import unpack_ids
from serving_export.stream.batch import ACTIVITY
from serving_export.stream.redis_streams import RedisSink, RedisSource, connect
from serving_export.stream.running import RunningUser, activity_of
from serving_export.stream.worker import Worker
from tests.walk.chain import walk
from tests.walk.logs import Shape, make
from training.contracts.columns import TASTE_WINDOWS_DAYS
from training.contracts.partitions import Partition
from training.settings import Settings

SHAPE = Shape(num_users=60, num_items=30, num_events=1500, users="picks", items="varied", events="all", sessions=True)


@pytest.fixture
def settings(tmp_path: Path, redis: Redis, server: int) -> Settings:
    """Return the settings of an empty home that follows the server."""
    env = {"ATTUNE_HOME": str(tmp_path / "home"), "ATTUNE_STREAM": f"redis://127.0.0.1:{server}/0"}
    return Settings.from_env(env)


@pytest.fixture(scope="session")
def walked(tmp_path_factory: pytest.TempPathFactory, fresh_mlflow: Callable[[Settings], Settings]) -> Path:
    """Return a home in which a small log was landed, built, trained on and promoted."""
    home = tmp_path_factory.mktemp("walked") / "home"
    assert walk(fresh_mlflow(Settings.from_env({"ATTUNE_HOME": str(home)})), make(SHAPE)).served
    return home


@dataclass
class Streamed:
    """A copy of the walked home, and events of the day after the one that it serves."""

    settings: Settings
    numbers: dict[str, int] = field(default_factory=lambda: {"event": 0, "ms": 0})

    @property
    def store(self) -> EmbeddingStore:
        return EmbeddingStore(self.settings.published_dir)

    @property
    def day(self) -> Partition:
        """The day that is streamed: the one after the served one."""
        return Partition.parse(self.store.pointer.live.partition).shift(1)

    @property
    def users(self) -> list[str]:
        return unpack_ids(self.store.snapshot.user_ids)

    @property
    def items(self) -> list[str]:
        return unpack_ids(self.store.snapshot.consumer("matching").items.ids)

    def worker(self, parts: tuple[int, ...] = (0,), **options: Any) -> Worker:
        client = connect(self.settings)
        return Worker(self.settings, RedisSource(client, parts), parts, **options)

    def event(self, user_id: str, item_id: str, minute: int = 600, **columns: Any) -> dict[str, Any]:
        """Return a click of the day, with an id of its own."""
        self.numbers["event"] += 1
        at = self.day.starts_at + timedelta(minutes=minute)
        row = {"event_id": f"s{self.numbers['event']}", "user_id": user_id, "item_id": item_id, "event_type": "click"}
        return {**row, "occurred_at": at.isoformat(), **columns}

    def sign_up(self, user_id: str, picks: list[str], **columns: Any) -> dict[str, Any]:
        at = (self.day.starts_at + timedelta(hours=9)).isoformat()
        return {"user_id": user_id, "valid_from": at, "signed_up_at": at, "onboarding_item_ids": picks, **columns}

    def send(self, *rows: dict[str, Any], table: str = "interactions") -> None:
        """Append rows as if they came at noon of the day, each batch a millisecond after the last."""
        self.numbers["ms"] += 1
        noon = datetime.combine(self.day.day, datetime.min.time(), UTC) + timedelta(hours=12)
        sink = RedisSink(connect(self.settings), self.settings.stream_partitions)
        sink.append(table, rows, at_ms=int(noon.timestamp() * 1000) + self.numbers["ms"])


@pytest.fixture
def streamed(walked: Path, settings: Settings) -> Streamed:
    shutil.copytree(walked, settings.home)
    return Streamed(settings)


@pytest.fixture
def in_two_parts(streamed: Streamed) -> Streamed:
    return replace(streamed, settings=replace(streamed.settings, stream_partitions=2))


def drain(worker: Worker) -> int:
    """Let a worker take in everything that is there."""
    taken = 0
    while count := worker.step(wait_ms=1):
        taken += count
    return taken


def columns_of(user: RunningUser) -> dict[str, Any]:
    """Return a user's plain columns by name, as the feature service gives them."""
    counts = {f"count_taste_{window}": user.taste_WK[n, -1] for n, window in enumerate(TASTE_WINDOWS_DAYS)}
    return {**user.profile, **dict(zip(ACTIVITY, activity_of([user])[0].tolist(), strict=True)), **counts}
