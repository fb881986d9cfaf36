"""What a stream of events is to a worker: entries in order, by part of the users, told when they are kept.

`redis_streams` reads any server of the Redis protocol. Kafka is the next source: a topic's partition is a part, an
offset a position, committing it what `acknowledge` does.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from training.contracts.columns import RAW_INTERACTIONS, RAW_USERS
from training.contracts.errors import TransientFailure
from training.contracts.partitions import Partition

STREAMED = {table.name: table for table in (RAW_INTERACTIONS, RAW_USERS)}
"""The raw tables whose rows come through a stream; items come with the daily logs."""

DAY_MS = 86_400_000


class Backlog(TransientFailure):
    """The workers are behind by more than a stream may hold: nothing was appended, try again later."""


class Entry(NamedTuple):
    """One row as it was appended.

    Attributes:
        position: Its place in its part's stream; later entries have later ones.
        appended_ms: When the server took it, milliseconds since 1970.
        table: The raw table.
        row: The row as JSON.
    """

    position: str
    appended_ms: int
    table: str
    row: bytes

    @property
    def arrived_on(self) -> Partition:
        """The UTC day on which it was appended: its arrival day."""
        return _day(self.appended_ms // DAY_MS)


class Source(Protocol):
    """Where a worker reads."""

    def read(self, count: int, wait_ms: int) -> Mapping[int, Sequence[Entry]]:
        """Return the next entries of each part that has some, oldest first; wait for the first a while.

        What was read and not acknowledged is read again by whoever reads the part next.
        """
        ...

    def acknowledge(self, part: int, entries: Sequence[Entry]) -> None:
        """Say that entries are kept elsewhere: they need not be read again."""
        ...

    def lag(self, part: int) -> int:
        """Return how many entries of a part are not acknowledged yet."""
        ...


class Sink(Protocol):
    """Where events are appended."""

    def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> int:
        """Append rows, each to its user's part, and return how many there were.

        Raises:
            Backlog: The workers are too far behind.
        """
        ...


def part_of(user_id: str, parts: int) -> int:
    """Return the part of a user; all of a user's events go through one stream, and so stay in order."""
    return zlib.crc32(user_id.encode(errors="surrogatepass")) % parts


def later(entries: Sequence[Entry], than: str) -> Sequence[Entry]:
    """Return those of a part's entries, oldest first, that come after a position; "" is before the first."""
    return entries[bisect_right(entries, _order(than), key=lambda entry: _order(entry.position)) :]


def _order(position: str) -> tuple[int, ...]:
    return tuple(int(number) for number in position.split("-")) if position else ()


@lru_cache(maxsize=16)
def _day(number: int) -> Partition:
    return Partition(datetime.fromtimestamp(number * DAY_MS / 1000, UTC).date())
