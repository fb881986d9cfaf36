"""Bring Feast's online store in line with the overlay, beside the worker: a slow store keeps no event waiting."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from queue import Empty
from typing import Any

from serving_export.lookup import EmbeddingStore
from serving_export.stream.metrics import StreamMetrics
from training.contracts.errors import MissingArtefact
from training.settings import Settings

logger = logging.getLogger(__name__)
PAUSE_S = 0.25
"""Between two writes; a user's events of meanwhile are one row."""
RETRY_S = 5.0
_SPAWN = multiprocessing.get_context("spawn")


class OnlineRows:
    """Say which users' vectors have changed; a process of its own writes them, since Feast's work holds Python's lock.

    It begins with everyone in the overlay: what waited when its forerunner was killed is among them.
    """

    def __init__(self, settings: Settings, metrics: StreamMetrics) -> None:
        """Start the process that writes."""
        self._settings, self._metrics, self._counted = settings, metrics, 0
        self._failures: Any = _SPAWN.Value("i", 0)
        self._start()

    def mark(self, user_ids: Iterable[str]) -> None:
        """Say that users' vectors have changed."""
        if not self._process.is_alive():
            logger.warning("the process that writes to Feast online has ended with %s", self._process.exitcode)
            self._start()
        self._queue.put(list(user_ids))
        failures = self._failures.value
        self._metrics.online_failures.inc(failures - self._counted)
        self._counted = failures

    def close(self) -> None:
        """Write what waits, and end the process."""
        self._queue.put(None)
        self._process.join()

    def _start(self) -> None:
        self._queue: Any = _SPAWN.Queue()
        arguments = self._settings, self._queue, self._failures
        self._process = _SPAWN.Process(target=_write_on, args=arguments, name="feast-online", daemon=True)
        self._process.start()


class OnlineWriter:
    """Write what lookups answer of some users, for every served space and frame, a while after it has changed."""

    def __init__(self, settings: Settings) -> None:
        """Begin with everyone in the overlay."""
        self._settings = settings
        self._waiting: set[str] = set()
        self._served = -1

    def mark(self, user_ids: Iterable[str]) -> None:
        """Say that users' vectors have changed."""
        self._waiting.update(user_ids)

    def flush(self) -> int:
        """Write what waits, and everyone in the overlay where a snapshot was written over it; return the rows."""
        served = self._stat()
        rows = write_online_rows(self._settings, self._waiting, everyone=served != self._served)
        self._waiting, self._served = set(), served
        return rows

    def _stat(self) -> int:
        """Return when the record of what is served online was last written: once before and once after a snapshot."""
        try:
            return (self._settings.home / "feast" / "served.json").stat().st_mtime_ns
        except FileNotFoundError:
            return 0


def _write_on(settings: Settings, queue: Any, failures: Any) -> None:
    """Write until told to end, or until the worker is gone; lookups and events come first on a busy machine."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(10)
    writer, parent = OnlineWriter(settings), multiprocessing.parent_process()
    ended = False
    while not ended and parent is not None and parent.is_alive():
        pause = _attempt(writer, failures)
        ended = _collect(writer, queue, pause)
    _attempt(writer, failures)


def _attempt(writer: OnlineWriter, failures: Any) -> float:
    """Write, and return the seconds to pause."""
    try:
        writer.flush()
    except Exception as error:  # lookups go on; what waits is written once the store answers
        failures.value += 1
        logger.warning("Feast online is behind the overlay: %s", " ".join(str(error).split()))
        return RETRY_S
    return PAUSE_S


def _collect(writer: OnlineWriter, queue: Any, seconds: float) -> bool:
    """Take note of changed users for a while, and return whether the worker has ended."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        try:
            users = queue.get(timeout=left)
        except Empty:
            break
        if users is None:
            return True
        writer.mark(users)
    return False


def write_online_rows(settings: Settings, users: set[str], *, everyone: bool = False) -> int:
    """Write what lookups answer of users into the online store, under the key of every served space and frame.

    Args:
        settings: Where state lives.
        users: Whom; one that no space knows is passed over.
        everyone: Write all of the overlay besides.
    """
    if not users and not everyone:
        return 0
    from training.data.online.guard import writing
    from training.data.online.space_rows import add_vectors

    with writing(settings):
        try:
            store = EmbeddingStore(settings.published_dir)
        except MissingArtefact:
            return 0
        count = 0
        for slot, own, frame in _slots(store):
            wanted = sorted(users | set(own.fresh_users())) if everyone else sorted(users)
            found = own.lookup(wanted, "ignore", frame=frame)
            times: list[datetime] = [found.fresh.get(user, found.as_of) for user in found.user_ids]
            count += add_vectors(settings, slot, times, found.user_ids, found.vectors)
    return count


def _slots(store: EmbeddingStore) -> Iterator[tuple[str, EmbeddingStore, str | None]]:
    """Yield every key under which vectors are served online, a store that answers for it, and the frame it asks for."""
    for entry in store.pointer.snapshots:
        yield entry.space_id, store.for_space(entry.space_id), None
    for frame in store.pointer.frames:
        yield frame, store.for_space(store.snapshot_in(frame).entry.space_id), frame
