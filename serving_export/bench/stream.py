"""Time the stream: from an event to its user's readable vector at a steady rate, and how fast a backlog is drained."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from serving_export.lookup import EmbeddingStore
from serving_export.packed import unpack_ids
from serving_export.pointer_moves import move
from serving_export.publish import publish
from serving_export.stream.redis_streams import RedisSink, RedisSource, connect
from serving_export.stream.state import State, state_path
from serving_export.vectors import SpaceVectors
from training.bench.shared.timing import Timing
from training.bench.speed.materialise import redis_server
from training.contracts.partitions import Partition
from training.data.feature_store import apply
from training.ingest.simulator import SimulatorConfig, simulate
from training.ingest.world import WorldConfig
from training.jobs import run
from training.registry.pointer import Pointer
from training.representation.user_space import ensure_embeddings, read_embedding_file
from training.settings import REPO_ROOT, Settings

logger = logging.getLogger(__name__)
RATE = 1_000
TICK_S = 0.01
LEFT_S = 1.0
SECONDS = 20.0
BACKLOG = 60_000
START_TIMEOUT_S = 120.0
CONFIG = SimulatorConfig(world=WorldConfig(num_users=2000, num_items=800, num_days=14, last_day="2025-11-08"))


def stream_timings(folder: Path, seed: int, seconds: float = SECONDS, backlog: int = BACKLOG) -> list[Timing]:
    """Return the lines of the stream, on a small home that is simulated, trained and published into `folder`."""
    settings = serve_simulated(Settings.from_env({"ATTUNE_HOME": str(folder), "ATTUNE_SEED": str(seed)}))
    with redis_server() as address:
        followed = replace(settings, stream=f"{address}/0")
        return [visible_timing(followed, seconds), drain_timing(followed, backlog)]


def serve_simulated(settings: Settings, config: SimulatorConfig = CONFIG) -> Settings:
    """Simulate a log, train a space on it and publish its newest day, without consumers."""
    day = simulate(settings, config).days[-1]
    for job in ("land_partition", "transform_partition"):
        run(job, day, settings=settings)
    apply(settings)
    space_id = run("train_candidate", day, settings=settings)["space_id"]
    partition = Partition.parse(day)
    users, vectors = read_embedding_file(ensure_embeddings(settings, space_id, partition))
    snapshot = publish(settings, SpaceVectors.of(space_id, partition, users, vectors))
    move(settings, Pointer(sequence=0, kind="promote", previous=None, live=snapshot))
    return settings


def visible_timing(settings: Settings, seconds: float) -> Timing:
    """Return the 99th percentile from an event's appending to a reader in another process that sees its vector.

    The line says so where the rate was not sustained: what was still on its way at the end is then in no percentile.
    """
    with _worker(settings, hour=1):
        offered = _offer(settings, seconds)
    waits = offered.waits or [seconds + LEFT_S]  # nothing was seen: it takes at least so long
    p50, p99 = (1000 * float(np.percentile(waits, q)) for q in (50, 99))
    shortfall = offered.shortfall()
    logger.info("at %d events/s: p50 %.1f ms, p99 %.1f ms of %d%s", RATE, p50, p99, len(offered.waits), shortfall)
    return Timing(
        what=f"event to readable, durable vector at {RATE:,} events/s, p99 (p50 {p50:.3g}){shortfall}",
        unit="ms",
        ours=p99,
        limits={"one durable transaction": 1000 * _commit_seconds(settings)},
        target=50.0,
    )


def drain_timing(settings: Settings, backlog: int) -> Timing:
    """Return how many events a second one worker, which is warm, takes in of a backlog."""
    client = connect(settings)
    with _worker(settings, hour=3) as process:
        process.send_signal(signal.SIGSTOP)
        feed = _Feed(settings, hour=4)
        for start in range(0, backlog, 5_000):
            feed.send(min(5_000, backlog - start))
        source = RedisSource(client, list(range(settings.stream_partitions)))
        held, started = _lag(settings, source), time.perf_counter()
        process.send_signal(signal.SIGCONT)
        while _lag(settings, source):
            if process.poll() is not None:
                raise RuntimeError(f"the worker has ended over a backlog: {process.poll()}")
            time.sleep(0.01)
        rate = held / (time.perf_counter() - started)
    logger.info("a backlog of %d events: %.0f/s", held, rate)
    return Timing(what=f"events taken in of a backlog of {backlog:,}", unit="events/s", ours=rate, target=15_000.0)


def _lag(settings: Settings, source: RedisSource) -> int:
    return sum(source.lag(part) for part in range(settings.stream_partitions))


class _Feed:
    """Clicks of random users on random items, from an hour of the day after the snapshot on.

    Later feeds have later hours: a user whose events come out of order starts anew, which is another thing to time.
    """

    def __init__(self, settings: Settings, hour: int) -> None:
        store = EmbeddingStore(settings.published_dir)
        self.users = unpack_ids(store.snapshot.user_ids)
        self._items = [f"i{number:05d}" for number in range(800)]
        self._draw = np.random.default_rng(hour)
        self.day_starts = store.snapshot.as_of
        self._at = self.day_starts + timedelta(hours=hour)
        self._hour, self._sent = hour, 0
        self._sink = RedisSink(connect(settings), settings.stream_partitions)

    def send(self, number: int) -> tuple[str, datetime]:
        """Append events, and return the last one's user and time."""
        rows = [self._row() for _ in range(number)]
        self._sink.append("interactions", rows)
        return str(rows[-1]["user_id"]), datetime.fromisoformat(str(rows[-1]["occurred_at"]))

    def _row(self) -> dict[str, Any]:
        self._sent += 1
        return {
            "event_id": f"bench-{self._hour}-{self._sent}",
            "user_id": self.users[int(self._draw.integers(len(self.users)))],
            "item_id": self._items[int(self._draw.integers(len(self._items)))],
            "event_type": "click",
            "occurred_at": (self._at + timedelta(milliseconds=self._sent)).astimezone(UTC).isoformat(),
        }


@dataclass
class _Offered:
    """What became of events that were offered at the rate.

    Attributes:
        waits: Seconds from appended to seen, of one event of each tick, those that were seen while events were offered.
        left: How many of those were on their way at the end for longer than `LEFT_S`.
        rate: Events a second that could be appended.
    """

    waits: list[float]
    left: int
    rate: float

    def shortfall(self) -> str:
        """Return what to say of a rate that was not sustained; "" of one that was."""
        if self.left == 0 and self.rate > 0.98 * RATE:
            return ""
        late = f"{self.left} of {len(self.waits) + self.left} left over"
        return f"; not sustained: {self.rate:,.0f} appended/s, {late}"


def _offer(settings: Settings, seconds: float) -> _Offered:
    """Append at the rate, and see for one event of each tick when a reader has its vector."""
    feed, store = _Feed(settings, hour=2), EmbeddingStore(settings.published_dir)
    pending: list[tuple[str, datetime, float]] = []
    offered, ended = _Offered([], 0, 0.0), threading.Event()

    def append() -> None:
        began = time.monotonic()
        for tick in range(round(seconds / TICK_S)):
            ended.wait(max(began + tick * TICK_S - time.monotonic(), 0.0))
            sent = time.monotonic()
            pending.append((*feed.send(round(RATE * TICK_S)), sent))
        offered.rate = RATE * seconds / max(time.monotonic() - began, seconds)
        ended.set()

    thread = threading.Thread(target=append)
    thread.start()
    until = time.monotonic() + seconds + LEFT_S
    while time.monotonic() < until and (pending or not ended.is_set()):
        fresh = store.lookup(list({user for user, _, _ in pending[:]}), "ignore").fresh
        now = time.monotonic()
        for one in pending[:]:
            user, at, sent = one
            if user in fresh and fresh[user] >= at:
                offered.waits.append(now - sent)
                pending.remove(one)
        time.sleep(0.001)
    thread.join()
    offered.left = sum(time.monotonic() - sent > LEFT_S for *_, sent in pending)
    return offered


@contextmanager
def _worker(settings: Settings, hour: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker in a process of its own, warm."""
    env = {**os.environ, "ATTUNE_HOME": str(settings.home), "ATTUNE_STREAM": settings.stream}
    command = [sys.executable, "-m", "serving_export", "stream"]
    process = subprocess.Popen(command, env=env, cwd=REPO_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        feed, store, began = _Feed(settings, hour), EmbeddingStore(settings.published_dir), time.monotonic()
        user, at = feed.send(RATE)
        while store.lookup([user]).fresh.get(user, feed.day_starts) < at:
            if process.poll() is not None or time.monotonic() - began > START_TIMEOUT_S:
                raise RuntimeError(f"the worker has not taken an event in: {process.poll()}")
            time.sleep(0.05)
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait()


def _commit_seconds(settings: Settings, times: int = 50) -> float:
    """Return the median seconds of a transaction that writes one value, on disk."""
    path = state_path(settings, 0).with_name("probe.db")
    taken = []
    with closing(State(path)) as state:
        for number in range(times):
            started = time.perf_counter()
            with state.transaction():
                state.put_fact("probe", number)
            taken.append(time.perf_counter() - started)
    for file in path.parent.glob("probe.db*"):
        file.unlink()
    return float(np.median(taken))
