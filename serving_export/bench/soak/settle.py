"""Hold what a soak has left against what was sent: in the stream's own state, and against the batch of the day."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from serving_export.bench.soak.home import build_day, deliver
from serving_export.jobs import run as run_serving
from serving_export.lookup import EmbeddingStore
from serving_export.stream.redis_streams import RedisSource, connect
from serving_export.stream.state import State, state_paths
from training.contracts.columns import USER_ACTIVITY
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.settings import Settings
from training.storage import PART

WITHIN_S = 300.0
MAX_DISTANCE = 1e-4
"""Between overlay and batch vector, as a share of the batch's length.

After ten minutes, 21,505 events of 137 users, all were below 1e-6.
"""


@dataclass(frozen=True)
class Kept:
    """What the stream holds: the ids of events, users who are read over the live snapshot, dead letters by reason."""

    event_ids: frozenset[str]
    fresh_users: frozenset[str]
    dead: dict[str, int]


def drain(settings: Settings, require_running: Callable[[], None]) -> None:
    """Wait until the workers have taken in everything.

    Raises:
        AttuneError: They have not in time, or one has ended.
    """
    source = RedisSource(connect(settings), range(settings.stream_partitions))
    _wait(
        lambda: not any(source.lag(part) for part in range(settings.stream_partitions)),
        "a drained stream",
        require_running,
    )


def kept(settings: Settings) -> Kept:
    """Return what the state holds now."""
    store = EmbeddingStore(settings.published_dir)
    events: set[str] = set()
    dead: Counter[str] = Counter()
    for path in state_paths(settings):
        with closing(sqlite3.connect(path)) as connection:
            events |= {row[0] for row in connection.execute("select event_id from events")}
            dead.update(dict(connection.execute("select reason, count(*) from dead group by reason")))
    return Kept(frozenset(events), frozenset(store.fresh_users()), dict(dead))


def against_batch(
    settings: Settings, day: Partition, rows: Sequence[dict[str, Any]], require_running: Callable[[], None]
) -> list[dict[str, Any]]:
    """Deliver the same events as the day's log, build and publish the day, and return each part's parity with it.

    Raises:
        AttuneError: The workers have not compared themselves in time, or one has ended.
    """
    deliver(settings, day, rows)
    build_day(settings, day)
    run_serving("refresh_embeddings", str(day), settings=settings)
    space_id = EmbeddingStore(settings.published_dir).space_id
    found: list[dict[str, Any]] = []

    def compared() -> bool:
        found[:] = [fact for path in state_paths(settings) if (fact := _parity(settings, path, space_id, day))]
        return len(found) == settings.stream_partitions

    _wait(compared, f"the workers' comparison with the batch of {day}", require_running)
    run_serving("check_stream", str(day), settings=settings)
    return found


def _parity(settings: Settings, path: Path, space_id: str, day: Partition) -> dict[str, Any] | None:
    with closing(State(path)) as state:
        fact = state.fact(f"parity {space_id}")
    return fact if fact and fact["partition"] == str(day) else None


def counts_in_batch(settings: Settings, day: Partition) -> dict[str, int]:
    """Return how many events the batch of a day counts of each user."""
    path = settings.features_dir(USER_ACTIVITY.name, day) / PART
    table = pq.read_table(path, columns=["user_id", "count_events_all"], partitioning=None)
    return dict(zip(table["user_id"].to_pylist(), map(int, table["count_events_all"].to_pylist()), strict=True))


def lost_in_stream(state: Kept, rows: Sequence[dict[str, Any]], dead: Sequence[Mapping[str, int]]) -> Iterator[str]:
    """Yield what the state lacks of the events that were accepted, or has besides them.

    Args:
        state: What is kept.
        rows: Every accepted event.
        dead: By sender, how many rows are to be buried for which reason.
    """
    accepted, acted = {row["event_id"] for row in rows}, {row["user_id"] for row in rows}
    expected: Counter[str] = Counter()
    for one in dead:
        expected.update(one)
    for what, found in (
        ("accepted events are not kept", accepted - state.event_ids),
        ("events are kept that were not accepted", state.event_ids - accepted),
        ("users who did something are not in the overlay", acted - state.fresh_users),
    ):
        if found:
            yield f"{len(found)} {what}: {sorted(found)[:5]}"
    if expected != Counter(state.dead):
        yield f"expected dead letters {dict(expected)}, found {state.dead}"


def lost_in_batch(before: Mapping[str, int], after: Mapping[str, int], rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the users of whom a day's batch counts other than the events that were sent."""
    sent = Counter(row["user_id"] for row in rows)
    wrong = [user for user, number in sorted(sent.items()) if after.get(user, 0) - before.get(user, 0) != number]
    if wrong:
        yield f"the batch counts other events of {len(wrong)} users than were sent: {wrong[:5]}"


def apart(parity: Sequence[Mapping[str, Any]], rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield who was not compared with the batch, and whose vectors differ."""
    compared, acted = sum(part["users"] for part in parity), len({row["user_id"] for row in rows})
    if compared != acted:
        yield f"expected the {acted} users who did something to be compared with the batch, found {compared}"
    if worst := [case for part in parity for case in part["worst"] if case["distance"] > MAX_DISTANCE]:
        yield f"overlay and batch vectors are further apart than {MAX_DISTANCE}: {worst[:5]}"


def _wait(done: Callable[[], bool], what: str, require_running: Callable[[], None]) -> None:
    until = time.monotonic() + WITHIN_S
    while not done():
        require_running()
        if time.monotonic() > until:
            raise AttuneError(f"expected {what} within {WITHIN_S:.0f} s, found it not")
        threading.Event().wait(0.2)
