"""The snapshot that is in force, mapped and verified, following the pointer as it moves."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from serving_export.index import ApproximateConsumer
from serving_export.lookup import EmbeddingStore, Snapshot
from training.registry.pointer import POINTER
from training.settings import Settings

logger = logging.getLogger(__name__)

RETRY_AFTER_S = 2.0
"""Pause before a pointer that could not be followed is tried again."""


@dataclass(frozen=True)
class _Open:
    """One pointer's snapshots, mapped, with the indexes of every consumer in them."""

    store: EmbeddingStore
    indexes: dict[tuple[str, str], ApproximateConsumer]


class Served:
    """The store that is in force, reopened when the pointer file changes; one `stat` per request.

    The next one is opened and held against its checksums while the last one answers, and only then takes its place:
    a pointer or snapshot that cannot be opened changes nothing.
    """

    def __init__(self, settings: Settings) -> None:
        """Watch the pointer below `settings.published_dir`; nothing need be published yet."""
        self._settings = settings
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._failed_at = -RETRY_AFTER_S
        self._open: _Open | None = None

    def store(self, space_id: str | None = None) -> EmbeddingStore:
        """Return the store of a served space, or of the live one.

        Raises:
            MissingArtefact: Nothing was promoted yet.
            SpaceMismatch: `space_id` is not served.
        """
        store = self._followed().store
        return store if space_id is None else store.for_space(space_id)

    def indexes(self, snapshot: Snapshot, name: str) -> ApproximateConsumer:
        """Return a consumer's indexes, mapped once per snapshot."""
        consumer = snapshot.consumer(name)
        key = str(consumer.folder), name
        indexes = self._followed().indexes
        if key not in indexes:
            indexes[key] = ApproximateConsumer(consumer)
        return indexes[key]

    def _followed(self) -> _Open:
        """Whoever first sees that the pointer has moved opens what it names; others go on with what is open."""
        opened = self._open
        if opened is not None and not self._has_moved():
            return opened
        if self._lock.acquire(blocking=opened is None):
            try:
                if self._open is None or self._has_moved():
                    self._follow()
            finally:
                self._lock.release()
        assert self._open is not None
        return self._open

    def _follow(self) -> None:
        seen = self._stat()
        try:
            store = EmbeddingStore(self._settings.published_dir, stale_after_days=self._settings.stale_after_days)
            store.verify()
            self._open, self._seen = _Open(store, _index(store)), seen
            logger.info("serving space %s of pointer %d", store.space_id, store.pointer.sequence)
        except Exception as error:
            if self._open is None:
                raise
            self._failed_at = time.monotonic()
            logger.error("the pointer has moved, but what it names cannot be opened; the last goes on: %s", error)

    def _has_moved(self) -> bool:
        return self._stat() != self._seen and time.monotonic() - self._failed_at >= RETRY_AFTER_S

    def _stat(self) -> tuple[int, int] | None:
        try:
            stat = (self._settings.published_dir / POINTER).stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns


def _index(store: EmbeddingStore) -> dict[tuple[str, str], ApproximateConsumer]:
    """Map every consumer's indexes while their folders are there; retention may remove them later."""
    consumers = [(name, store.snapshot.consumer(name)) for name in store.pointer.live.consumers]
    return {(str(consumer.folder), name): ApproximateConsumer(consumer) for name, consumer in consumers}
