"""Send events both ways, over HTTP and straight to the stream, some of them twice and some of them broken."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from redis import Redis

from serving_export.bench.soak.reads import Client, Request
from serving_export.bench.soak.tally import Tally
from serving_export.lookup import EmbeddingStore
from serving_export.packed import unpack_ids
from serving_export.stream.entries import part_of
from serving_export.stream.redis_streams import RedisSink
from training.contracts.columns import EVENT_TYPES
from training.contracts.errors import AttuneError, TransientFailure
from training.contracts.partitions import Partition
from training.ingest.row_checks import CONFLICTING_DUPLICATE, MISSING_VALUE
from training.settings import Settings

BATCH = 5
TICK_S = 0.25
"""Between two batches of one sender."""
RETRY_S = 0.5
TAKEN_WITHIN_S = 300.0
"""After which a sender gives up: a server that has ended for good would keep it sending for ever."""
TWICE, BROKEN, CONFLICTING = 0.1, 0.02, 0.02
"""Shares of batches with which an event comes again, one without an item, and one again with another item."""


@dataclass
class Sent:
    """What one sender has sent.

    Attributes:
        accepted: By event id, what the server has taken.
        repeated: Rows that were sent once more after they were taken.
        dead: Rows by the reason for which they are to be buried.
        again: Batches that were sent again, since it was not told whether they had come.
    """

    accepted: dict[str, dict[str, Any]] = field(default_factory=dict)
    repeated: int = 0
    dead: dict[str, int] = field(default_factory=dict)
    again: int = 0


class Sender:
    """One source of events, over HTTP or straight to the stream, of users of its own: those events stay in order."""

    def __init__(
        self, settings: Settings, day: Partition, tally: Tally, seed: int, *, port: int = 0, client: Redis | None = None
    ) -> None:
        """Send to the server at `port` or, with a client, to the stream."""
        store = EmbeddingStore(settings.published_dir)
        everyone = unpack_ids(store.snapshot.user_ids)
        self._users = [user for user in everyone if part_of(f"soak {user}", 3) == (0 if client else 1)]
        self._items = unpack_ids(store.snapshot.consumer("matching").items.ids)
        self._name, self._day, self._tally = "straight" if client else "http", day, tally
        self._draw, self._number = np.random.default_rng(seed), 0
        self._client = None if client else Client(port, tally)
        self._sink = RedisSink(client, settings.stream_partitions) if client else None
        self.sent = Sent()

    def run(self, stopped: threading.Event) -> None:
        """Send until told to stop; whatever is sent is sent until it is taken, within bounds."""
        try:
            while not stopped.wait(TICK_S):
                rows = [self._row() for _ in range(BATCH)]
                self._send(rows)
                self.sent.accepted |= {row["event_id"]: row for row in rows}
                self._disturb(rows)
        except Exception as error:
            self._tally.fail(f"the sender {self._name} ended: {type(error).__name__}: {error}")
            raise
        finally:
            if self._client:
                self._client.close()

    def _disturb(self, rows: Sequence[dict[str, Any]]) -> None:
        """Send something again, or something broken; what is broken is refused over HTTP before it is appended."""
        row = rows[int(self._draw.integers(len(rows)))]
        if self._draw.random() < TWICE:
            self._send([row])
            self.sent.repeated += 1
        if self._draw.random() < BROKEN:
            self._send_broken({**self._row(), "item_id": " "}, MISSING_VALUE)
        if self._draw.random() < CONFLICTING and self._sink:
            others = [item for item in self._items if item != row["item_id"]]
            self._send_broken({**row, "item_id": others[int(self._draw.integers(len(others)))]}, CONFLICTING_DUPLICATE)

    def _send_broken(self, row: dict[str, Any], reason: str) -> None:
        if self._client:
            self._client.ask(Request("broken event", "POST", "/events", {"interactions": [row]}, 422))
            return
        self._send([row])
        self.sent.dead[reason] = self.sent.dead.get(reason, 0) + 1

    def _send(self, rows: list[dict[str, Any]]) -> None:
        until = time.monotonic() + TAKEN_WITHIN_S
        while not self._is_taken(rows):
            if time.monotonic() > until:
                raise AttuneError(f"expected events to be taken within {TAKEN_WITHIN_S:.0f} s, found them not")
            self.sent.again += 1
            threading.Event().wait(RETRY_S)

    def _is_taken(self, rows: list[dict[str, Any]]) -> bool:
        if self._client:
            request = Request("events", "POST", "/events", {"interactions": rows}, 202)
            return self._client.ask(request) is not None
        assert self._sink is not None
        try:
            return self._sink.append("interactions", rows) == len(rows)
        except TransientFailure:
            return False

    def _row(self) -> dict[str, Any]:
        self._number += 1
        at = min(datetime.now(UTC), self._day.as_of - timedelta(seconds=1))
        return {
            "event_id": f"soak-{self._name}-{self._number}",
            "user_id": self._users[int(self._draw.integers(len(self._users)))],
            "item_id": self._items[int(self._draw.integers(len(self._items)))],
            "event_type": str(self._draw.choice(EVENT_TYPES)),
            "occurred_at": at.isoformat(),
        }
