"""Take users out of the stream: its workers' states, the features mapped for them, and entries that nobody has read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import product
from pathlib import Path
from typing import Any

from redis import Redis, RedisError, ResponseError

from serving_export.erasure import parquet_files
from serving_export.erasure.people import People
from serving_export.overlay import OVERLAY
from serving_export.stream.redis_streams import GROUP, connect, stream_key
from serving_export.stream.state import State, state_paths
from training.contracts.errors import TransientFailure
from training.settings import Settings
from training.storage import sweep

ENTRIES_AT_ONCE = 10_000


def erase_overlay(settings: Settings, user_ids: frozenset[str]) -> None:
    """Keep nothing of the users over a snapshot; whoever holds rows in memory is told with the next lookup.

    The rows go with the rest of the home; a worker that has begun to take a user in ends before this, or drops it.

    Raises:
        AttuneError: The users were split into another number of parts than is set.
    """
    for path in state_paths(settings):
        with closing(State(path)) as state:
            for user_id in sorted(user_ids):
                with state.transaction():
                    state.erase(user_id)


def forget_batches(settings: Settings, people: People) -> int:
    """Remove the mapped features that hold one of the users, and return how many files; who needs one makes it anew."""
    folder = settings.published_dir / OVERLAY
    sweep(folder)
    named = [path for path in sorted(folder.glob("batch-*.arrow")) if _names(people, path)]
    for path in named:
        path.unlink(missing_ok=True)
    return len(named)


def erase_entries(settings: Settings, people: People) -> int:
    """Remove the users' entries from the streams, whether or not a worker has read them, and return how many.

    Raises:
        TransientFailure: The server cannot be reached.
    """
    count = 0
    with _servers(settings) as clients:
        for client, key, positions in _entries(settings, clients, people):
            with suppress(ResponseError):  # no worker has made the group yet
                client.xack(key, GROUP, *positions)
            client.xdel(key, *positions)
            count += len(positions)
    return count


def find_entries(settings: Settings, people: People) -> list[str]:
    """Return the streams that hold entries of one of the users, each with how many.

    Raises:
        TransientFailure: The server cannot be reached.
    """
    counts: dict[str, int] = {}
    with _servers(settings) as clients:
        for _, key, positions in _entries(settings, clients, people):
            counts[key] = counts.get(key, 0) + len(positions)
    return [f"{key}: {count} entries" for key, count in counts.items()]


def _names(people: People, path: Path) -> bool:
    with suppress(FileNotFoundError):  # a worker has swept it
        return bool(parquet_files.find_arrow(path, people))
    return False


def _entries(settings: Settings, clients: Sequence[Redis], people: People) -> Iterator[tuple[Redis, str, list[bytes]]]:
    """Yield each server and stream with the positions of entries of the users, some thousands of entries at a time."""
    for client, part in product(clients, range(settings.stream_partitions)):
        key = stream_key(part)
        found: Any = client.xrange(key, count=ENTRIES_AT_ONCE)
        while found:
            if own := [position for position, fields in found if people.owns(fields.get(b"row"))]:
                yield client, key, own
            found = client.xrange(key, min=f"({found[-1][0].decode()}", count=ENTRIES_AT_ONCE)


@contextmanager
def _servers(settings: Settings) -> Iterator[list[Redis]]:
    """Yield a client of the server that carries the streams; of none where no stream is followed."""
    if not settings.stream:
        yield []
        return
    try:
        with connect(settings) as client:
            yield [client]
    except ResponseError:
        raise
    except RedisError as error:
        raise TransientFailure(
            f"expected the server of ATTUNE_STREAM to answer, found {error}; start it, then run `erase --now`"
        ) from error
