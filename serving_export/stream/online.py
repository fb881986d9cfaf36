"""Bring Feast's online store in line with the overlay, beside the worker: a slow store keeps no event waiting."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from datetime import datetime

from serving_export.lookup import EmbeddingStore
from serving_export.stream.metrics import StreamMetrics
from training.contracts.errors import MissingArtefact
from training.settings import Settings

logger = logging.getLogger(__name__)
PAUSE_S = 0.25
"""Between two writes; a user's events of meanwhile are one row."""
RETRY_S = 5.0


class OnlineRows:
    """Write what lookups answer of some users, for every served space, a while after it has changed."""

    def __init__(self, settings: Settings, metrics: StreamMetrics) -> None:
        """Start the thread that writes."""
        self._settings, self._metrics = settings, metrics
        self._waiting: set[str] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._served = self._stat()
        self._thread = threading.Thread(target=self._run, name="feast-online", daemon=True)
        self._thread.start()

    def mark(self, user_ids: Iterable[str]) -> None:
        """Say that users' vectors have changed."""
        with self._lock:
            self._waiting.update(user_ids)

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self._stopped.set()
        self._thread.join()

    def flush(self) -> int:
        """Write what waits, and everyone in the overlay where a snapshot was written over it; return the rows."""
        served = self._stat()
        with self._lock:
            users, self._waiting = self._waiting, set()
        try:
            rows = write_online_rows(self._settings, users, everyone=served != self._served)
        except Exception:
            self.mark(users)
            raise
        self._served = served
        return rows

    def _run(self) -> None:
        pause = PAUSE_S
        while not self._stopped.wait(pause):
            pause = self._attempt()
        self._attempt()

    def _attempt(self) -> float:
        try:
            self.flush()
        except Exception as error:  # lookups go on; what waits is written once the store answers
            self._metrics.online_failures.inc()
            logger.warning("Feast online is behind the overlay: %s", " ".join(str(error).split()))
            return RETRY_S
        return PAUSE_S

    def _stat(self) -> int:
        """Return when the record of what is served online was last written: once before and once after a snapshot."""
        try:
            return (self._settings.home / "feast" / "served.json").stat().st_mtime_ns
        except FileNotFoundError:
            return 0


def write_online_rows(settings: Settings, users: set[str], *, everyone: bool = False) -> int:
    """Write what lookups answer of users into the online store, under the key of every served space.

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
        for entry in store.pointer.snapshots:
            own = store.for_space(entry.space_id)
            wanted = sorted(users | set(own.fresh_users())) if everyone else sorted(users)
            found = own.lookup(wanted, "ignore")
            times: list[datetime] = [found.fresh.get(user, found.as_of) for user in found.user_ids]
            count += add_vectors(settings, entry.space_id, times, found.user_ids, found.vectors)
    return count
