"""Follow a stream: check, count once, keep durably, encode, and only then tell the stream."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Protocol

from serving_export.stream.carry import carry_part
from serving_export.stream.entries import Entry, Source, later
from serving_export.stream.intake import Intake
from serving_export.stream.landed import LandedEvents
from serving_export.stream.metrics import StreamMetrics
from serving_export.stream.parity import compare
from serving_export.stream.state import Event, State, ViewKey, state_path, state_paths
from serving_export.stream.view import View, Views, view_key
from training.contracts.errors import AttuneError, TransientFailure
from training.contracts.partitions import Partition
from training.registry.pointer import POINTER, Pointer, find_pointer
from training.settings import Settings
from training.storage import exclusive

logger = logging.getLogger(__name__)
ENTRIES_AT_ONCE = 4_000
WAIT_MS = 100
LOOK_EVERY_S = 1.0
COUNT_EVERY_S = 15.0
"""Between two counts of the overlay's users: they read all of its pages, and events wait meanwhile."""
RETRY_S = 2.0
PREPARED_FOR_S = 3600.0
"""How long a view that is not served is kept: a promotion that has prepared it may flip yet."""
KEEP_TAKEN_DAYS = 2
"""Days for which events stay that every served batch has: a rollback to a snapshot before them finds them."""
LOCK_TIMEOUT_S = 5.0
SAMPLED = 100
"""Entries of one read whose way is timed."""


class Online(Protocol):
    """Who is told of users whose vectors have changed."""

    def mark(self, user_ids: Sequence[str]) -> None:
        """Take note; the write comes later."""
        ...


class Worker:
    """One process that follows some parts of the stream; it alone does (a lock for each part)."""

    def __init__(
        self,
        settings: Settings,
        source: Source,
        parts: Sequence[int],
        metrics: StreamMetrics | None = None,
        online: Online | None = None,
    ) -> None:
        """Open the parts' states.

        Raises:
            AttuneError: Another worker follows a part, or users were split otherwise before.
        """
        self._settings, self._source, self._online = settings, source, online
        self.metrics = metrics or StreamMetrics()
        state_paths(settings)
        self._open = ExitStack()
        for part in parts:
            lock = state_path(settings, part).with_suffix(".lock")
            self._open.enter_context(exclusive(lock, timeout_s=LOCK_TIMEOUT_S))
        self._states = {part: State(state_path(settings, part)) for part in parts}
        self._landed = LandedEvents(settings)
        self._intake = Intake(settings, self._landed)
        self._views = Views(settings)
        self._seen: tuple[int, int] | None = None
        self._looked_at = self._counted_at = -COUNT_EVERY_S

    def close(self) -> None:
        """Let go of the parts."""
        for state in self._states.values():
            state.close()
        self._open.close()

    def run(self, stopped: threading.Event) -> int:
        """Follow the stream until told to stop, and return the number of entries that were taken in.

        What fails for a while is tried again, and nothing of it is acknowledged.
        """
        taken = 0
        while not stopped.is_set():
            try:
                taken += self.step()
            except TransientFailure as error:
                logger.warning("%s; trying again in %g s", error, RETRY_S)
                stopped.wait(RETRY_S)
        return taken

    def step(self, wait_ms: int = WAIT_MS) -> int:
        """Take in what there is, look after the rest where it is due, and return the number of entries."""
        if time.monotonic() - self._looked_at >= LOOK_EVERY_S or self._pointer_mark() != self._seen:
            self.look()
        found = self._source.read(ENTRIES_AT_ONCE, wait_ms)
        for part, entries in found.items():
            self.take(part, entries)
        return sum(len(entries) for entries in found.values())

    def take(self, part: int, entries: Sequence[Entry]) -> None:
        """Take in entries of one part, make their effect readable in one transaction, and acknowledge them."""
        state = self._states[part]
        try:
            with state.transaction():
                changed = self._take(state, later(entries, state.position))
        except BaseException:
            self._views = Views(self._settings)  # what is in memory may be ahead of what was rolled back
            raise
        if self._online is not None and changed:
            self._online.mark(changed)
        self._source.acknowledge(part, entries)
        self._tell(part, entries)

    def look(self) -> None:
        """Follow the pointer, forget what every batch has, and leave a sign of life."""
        mark, pointer = self._pointer_mark(), find_pointer(self._settings.published_dir)
        for part, state in self._states.items():
            if pointer is not None:
                self._follow(state, pointer)
            with state.transaction():
                state.put_fact("seen_at", time.time())
            self.metrics.lag.labels(part).set(self._source.lag(part))
        if time.monotonic() - self._counted_at >= COUNT_EVERY_S:
            self._count()
        for features in self._views.features():
            features.trim()
        self._seen, self._looked_at = mark, time.monotonic()

    def _count(self) -> None:
        for part, state in self._states.items():
            for key, number in state.views().items():
                self.metrics.rows.labels(part, key.space_id).set(state.count_rows(number))
        self._counted_at = time.monotonic()

    def _take(self, state: State, entries: Sequence[Entry]) -> list[str]:
        """Store what is new of entries and encode whom it touches; return them."""
        if not entries:
            return []
        views = list(self._opened(state))
        partitions = [key.partition for key in state.views()]
        taken = self._intake.take(state, entries, partitions)
        for features in {id(view.features): view.features for _, view in views}.values():
            features.take(state, taken.events, taken.signed_up)
        for number, view in views:
            state.put_rows(number, view.rows(state, _touched(view, taken.events, taken.signed_up)))
        state.put_fact("position", entries[-1].position)
        for outcome, count in taken.counts.items():
            self.metrics.entries.labels(outcome).inc(count)
        for dead in taken.dead:
            self.metrics.dead.labels(dead.reason).inc()
        return sorted({event.user_id for event in taken.events} | set(taken.signed_up))

    def _opened(self, state: State) -> Iterator[tuple[int, View]]:
        """Yield the views to keep; one that cannot be opened any more is dropped, and its users read as of the day."""
        for key, number in state.views().items():
            try:
                yield number, self._views.open(key)
            except AttuneError as error:
                logger.warning("users are read as of %s in %s: %s", key.partition, key.space_id, error)
                state.drop_view(number)

    def _follow(self, state: State, pointer: Pointer) -> None:
        """Make views over what is served and was not prepared, drop those of the past, forget what all batches have."""
        served = [view_key(entry) for entry in pointer.snapshots]
        before = state.views()
        for key in served:
            self._make(state, key)
            for older in before:
                if older.space_id == key.space_id and older.partition < key.partition:
                    self._compare(state, older, key)
        with state.transaction():
            ages = state.view_ages()  # whoever moves the pointer adds views from another process meanwhile
            for key, number in state.views().items():
                replaced = any(key.space_id == other.space_id and key.partition < other.partition for other in served)
                if key not in served and (replaced or ages[number] > PREPARED_FOR_S):
                    state.drop_view(number)
            oldest = min(Partition.parse(key.partition) for key in served)
            state.forget_taken(str(oldest.shift(-KEEP_TAKEN_DAYS)))
        self._views.keep(list(state.views()))

    def _make(self, state: State, key: ViewKey) -> None:
        if key in state.views():
            return
        try:
            carry_part(self._settings, state, self._views.open(key), self._landed)
        except AttuneError as error:
            logger.warning("users are read as of %s in %s: %s", key.partition, key.space_id, error)
            return
        if self._online is not None:
            self._online.mark(state.touched_users(key.partition))

    def _compare(self, state: State, before: ViewKey, after: ViewKey) -> None:
        """Keep how far the overlay was from the batch that has superseded it."""
        name = f"parity {after.space_id}"
        if (state.fact(name) or {}).get("partition", "") >= after.partition:
            return
        try:
            parity = compare(self._settings, state, self._views.open(before), after)
        except AttuneError as error:
            logger.warning("the overlay of %s is not compared with the batch: %s", before.partition, error)
            return
        for distance in parity.distances.values():
            self.metrics.parity.observe(distance)
        with state.transaction():
            state.put_fact(name, parity.to_dict())
        if self._online is not None:
            self._online.mark(list(parity.distances))
        logger.info("overlay against batch of %s: %s", after.partition, parity.to_dict())

    def _pointer_mark(self) -> tuple[int, int] | None:
        try:
            stat = (self._settings.published_dir / POINTER).stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns

    def _tell(self, part: int, entries: Sequence[Entry]) -> None:
        now = time.time()
        for entry in entries[:: max(len(entries) // SAMPLED, 1)]:
            self.metrics.visible.observe(max(now - entry.appended_ms / 1000, 0.0))
        self.metrics.age.labels(part).set(max(now - entries[-1].appended_ms / 1000, 0.0))


def _touched(view: View, events: Sequence[Event], signed_up: Sequence[str]) -> list[str]:
    """Return the users whose vectors change over a view, in the order in which they did something."""
    acted = (event.user_id for event in events if view.features.is_open(event))
    return list(dict.fromkeys([*acted, *signed_up]))
