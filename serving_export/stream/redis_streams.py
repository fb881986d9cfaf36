"""Append events to Redis Streams and read them as one consumer group, a stream for each part of the users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from redis import Redis, RedisError, ResponseError

from serving_export.stream.entries import STREAMED, Backlog, Entry, part_of
from training.contracts.errors import AttuneError, TransientFailure
from training.settings import Settings, without_credentials

GROUP = "attune"
MAX_BACKLOG = 1_000_000
"""Entries that a part's stream may hold: some 300 MB of the server's memory."""


def connect(settings: Settings) -> Redis:
    """Return a client of the server that carries the streams.

    Raises:
        AttuneError: No stream is set.
    """
    if not settings.stream:
        raise AttuneError(
            "expected ATTUNE_STREAM as redis://host:port/db of the server that carries events, found none; set it, or "
            "deliver daily logs alone"
        )
    try:
        client: Redis = Redis.from_url(settings.stream, socket_timeout=30.0, socket_connect_timeout=5.0)
    except ValueError as error:
        found = without_credentials(settings.stream)
        raise AttuneError(f"expected ATTUNE_STREAM as redis://host:port/db, found {found!r}") from error
    return client


def stream_key(part: int) -> str:
    """Return the name of a part's stream."""
    return f"attune:events:{part}"


class RedisSink:
    """Append rows; refuse them while the workers are too far behind, so that the server's memory is bounded."""

    def __init__(self, client: Redis, parts: int, max_backlog: int = MAX_BACKLOG) -> None:
        """Append to the streams of `parts` parts, each at most `max_backlog` long."""
        self._client, self._parts, self._max_backlog = client, parts, max_backlog

    def append(self, table: str, rows: Sequence[Mapping[str, Any]], at_ms: int | None = None) -> int:
        """Append rows, each to its user's part, in one round trip; all of them or, where the server refuses, none.

        Args:
            table: The raw table.
            rows: JSON values by contract column; what breaks the contract becomes a dead letter.
            at_ms: When they came, milliseconds since 1970; the server's clock unless told (a replay tells it).

        Raises:
            Backlog: A part's stream is full; nothing was appended.
            TransientFailure: The server cannot be reached.
        """
        if table not in STREAMED:
            raise AttuneError(f"expected rows of {' or '.join(STREAMED)}, found {table!r}")
        with _reachable():
            self._require_room()
            with self._client.pipeline(transaction=True) as pipe:
                for row in rows:
                    part = part_of(str(row.get("user_id", "")), self._parts)
                    fields: Any = {"table": table, "row": orjson.dumps(row)}
                    pipe.xadd(stream_key(part), fields, id=f"{at_ms}-*" if at_ms is not None else "*")
                pipe.execute()
        return len(rows)

    def _require_room(self) -> None:
        with self._client.pipeline(transaction=False) as pipe:
            for part in range(self._parts):
                pipe.xlen(stream_key(part))
            longest = max(pipe.execute())
        if longest >= self._max_backlog:
            raise Backlog(
                f"expected room for events, found {longest} that no worker has taken in yet; see that `python -m "
                "serving_export stream` runs, and send these again later"
            )


class RedisSource:
    """Read some parts' streams as the group's consumer of each part.

    A part is read by one worker at a time (`worker` holds its lock), under a name of the part's own: whoever reads a
    part next finds what the last one had not acknowledged.
    """

    def __init__(self, client: Redis, parts: Sequence[int]) -> None:
        """Read the streams of `parts`, and make the group where it is missing."""
        self._client = client
        self._by_key = {stream_key(part).encode(): part for part in parts}
        self._after: dict[bytes, str] = dict.fromkeys(self._by_key, "0")
        self._make_groups()

    def read(self, count: int, wait_ms: int) -> dict[int, list[Entry]]:
        """Return the next entries by part: first those that were read before and not acknowledged.

        Raises:
            TransientFailure: The server cannot be reached, or has lost the group; it is made anew.
        """
        pending = {key: after for key, after in self._after.items() if after != ">"}
        if pending:
            found = self._read(pending, count, None)
            for key in pending:
                entries = found.get(self._by_key[key], [])
                self._after[key] = entries[-1].position if entries else ">"
            if found:
                return found
        return self._read(dict.fromkeys(self._by_key, ">"), count, wait_ms)

    def acknowledge(self, part: int, entries: Sequence[Entry]) -> None:
        """Say that entries are kept, and remove them from the stream: what it holds is the backlog."""
        if not entries:
            return
        key, positions = stream_key(part), [entry.position for entry in entries]
        with self._read_again_after_failure(), self._client.pipeline(transaction=False) as pipe:
            pipe.xack(key, GROUP, *positions)
            pipe.xdel(key, *positions)
            pipe.execute()

    def lag(self, part: int) -> int:
        """Return how many entries of a part are not acknowledged yet."""
        with _reachable():
            length: Any = self._client.xlen(stream_key(part))
        return int(length)

    def _read(self, after: Mapping[bytes, str], count: int, wait_ms: int | None) -> dict[int, list[Entry]]:
        streams: Any = dict(after)
        try:
            with self._read_again_after_failure():
                answer: Any = self._client.xreadgroup(GROUP, "worker", streams, count=count, block=wait_ms)
        except ResponseError as error:
            self._make_groups()
            raise TransientFailure(f"expected the group {GROUP}, found {error}; it was made anew") from error
        found = {self._by_key[key]: _entries(values) for key, values in answer or ()}
        return {part: entries for part, entries in found.items() if entries}

    @contextmanager
    def _read_again_after_failure(self) -> Iterator[None]:
        """Begin with what is not acknowledged where the server did not answer: it may have given what never came."""
        try:
            with _reachable():
                yield
        except TransientFailure:
            self._after = dict.fromkeys(self._by_key, "0")
            raise

    def _make_groups(self) -> None:
        for key in self._by_key:
            try:
                with _reachable():
                    self._client.xgroup_create(key, GROUP, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise


@contextmanager
def _reachable() -> Iterator[None]:
    """Raise TransientFailure for a server that does not answer; what it refuses is another error."""
    try:
        yield
    except ResponseError:
        raise
    except RedisError as error:
        raise TransientFailure(f"expected the server of ATTUNE_STREAM to answer, found {error}; start it") from error


def _entries(values: Sequence[tuple[bytes, dict[bytes, bytes] | None]]) -> list[Entry]:
    """Return entries; one that was removed meanwhile comes without fields, and is passed over."""
    return [
        Entry(
            position.decode(),
            int(position.partition(b"-")[0]),
            fields.get(b"table", b"").decode(errors="replace"),
            fields.get(b"row", b""),
        )
        for position, fields in values
        if fields
    ]
