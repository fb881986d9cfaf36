"""The snapshot that is in force, mapped and verified, following the pointer as it moves."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakKeyDictionary

from serving_export.embeddings import Standing
from serving_export.http.tally import current_tally
from serving_export.index import ApproximateConsumer
from serving_export.lookup import EmbeddingStore
from serving_export.serving_log import ServingLog
from serving_export.snapshot import Snapshot
from training.contracts.errors import AttuneError
from training.registry.pointer import POINTER
from training.settings import Settings

logger = logging.getLogger(__name__)

RETRY_AFTER_S = 2.0
"""Pause before a pointer that could not be followed is tried again."""
PATIENCE_S = 0.1
"""How long the request that first sees a move waits for what the pointer now names, before the last answers it too."""
NICENESS = 10
"""Of the thread that opens the next snapshot: on a busy machine it takes a tenth of what answering takes."""
Stat = tuple[int, int]


class Served:
    """The store that is in force, reopened when the pointer file changes; one `stat` per request.

    The next one is opened and held against its checksums, by a thread of its own, while the last one answers, and only
    then takes its place: a pointer or snapshot that cannot be opened changes nothing. Who still reads the last one
    keeps it mapped; with its last reader it goes.
    """

    def __init__(self, settings: Settings, opened: Callable[[str], None] = lambda outcome: None) -> None:
        """Watch the pointer below `settings.published_dir`; nothing need be published yet.

        Args:
            settings: Where state lives.
            opened: Told "opened" or "failed" whenever the pointer was followed.
        """
        self._settings, self._opened, self.log = settings, opened, ServingLog(settings)
        self._pointer = str(settings.published_dir / POINTER)
        self._lock = threading.Lock()
        self._seen: Stat | None = None
        self._failed_at = -RETRY_AFTER_S
        self._store: EmbeddingStore | None = None
        self._indexes: WeakKeyDictionary[Snapshot, dict[str, ApproximateConsumer]] = WeakKeyDictionary()

    def store(self, space_id: str | None = None, frame: str | None = None) -> EmbeddingStore:
        """Return the store of a served space, of the one in a frame, or of the live one, and note its age for the
        answer's head.

        Raises:
            MissingArtefact: Nothing was promoted yet.
            SpaceMismatch: `space_id` is not served.
            FrameMismatch: `frame` is not served, or not of that space.
        """
        store = self._followed()
        if space_id is not None:
            store = store.for_space(space_id)
        if frame is not None:
            store = store.for_space(store.snapshot_in(frame).entry.space_id)
        self.account(store)
        return store

    def is_open(self) -> bool:
        """Return whether what the pointer names is open, so that no lookup has to wait for anything to be opened."""
        return self._store is not None and not self._has_moved()

    def account(
        self, store: EmbeddingStore, snapshot: Snapshot | None = None, keys: int = 0, frame: str | None = None
    ) -> Standing:
        """Note which snapshot answers for how many ids, and return how old it is.

        Args:
            store: What answers.
            snapshot: Which one of it; None is the store's own.
            keys: Ids that are looked up or ranked for.
            frame: The frame that the answer's vectors were turned into; None for a space's own.
        """
        tally, about = current_tally(), store.standing(snapshot or store.snapshot, frame or "")
        tally.count(keys=keys)
        tally.about = about
        return about

    def in_force(self) -> list[Standing]:
        """Return how old each served snapshot is, the live one first; nothing before the first one is open."""
        store, found = self._store, list[Standing]()
        if store is not None:
            for entry in store.pointer.snapshots:
                with suppress(AttuneError):  # one that could not be mapped
                    found.append(store.standing(store.for_space(entry.space_id).snapshot))
        return found

    def indexes(self, snapshot: Snapshot, name: str) -> ApproximateConsumer:
        """Return a consumer's indexes, mapped once per snapshot."""
        consumer = snapshot.consumer(name)
        indexes = self._indexes.setdefault(snapshot, {})
        if name not in indexes:
            indexes[name] = ApproximateConsumer(consumer)
        return indexes[name]

    def _followed(self) -> EmbeddingStore:
        """Whoever first sees that the pointer has moved has it followed; others go on with what is open."""
        if self._store is None:
            with self._lock:
                if self._store is None:
                    self._open_first()
        elif self._has_moved() and self._lock.acquire(blocking=False):
            self._follow_beside()
        assert self._store is not None
        return self._store

    def _follow_beside(self) -> None:
        opening = threading.Thread(target=self._follow, name="follow-pointer", daemon=True)
        try:
            opening.start()
        except RuntimeError:
            self._lock.release()
            raise
        opening.join(PATIENCE_S)

    def _open_first(self) -> None:
        seen = self._stat()
        try:
            self._switch(seen)
        except Exception:
            self._opened("failed")
            raise

    def _follow(self) -> None:
        """Open what the pointer names and switch to it, then let go of the lock that the starting thread has taken."""
        _step_back()
        try:
            seen = self._stat()
            if seen != self._seen:
                self._switch(seen)
        except Exception as error:
            self._failed_at = time.monotonic()
            self._opened("failed")
            logger.error("the pointer has moved, but what it names cannot be opened; the last goes on: %s", error)
        finally:
            self._lock.release()

    def _switch(self, seen: Stat | None) -> None:
        store = EmbeddingStore(self._settings.published_dir, stale_after_days=self._settings.stale_after_days)
        store.verify()
        for name in store.pointer.live.consumers:  # while their folder is there; retention may remove it later
            self.indexes(store.snapshot, name)
        self._store, self._seen = store, seen
        self._opened("opened")
        logger.info("serving space %s of pointer %d", store.space_id, store.pointer.sequence)

    def _has_moved(self) -> bool:
        return self._stat() != self._seen and time.monotonic() - self._failed_at >= RETRY_AFTER_S

    def _stat(self) -> Stat | None:
        try:
            stat = os.stat(self._pointer)
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns


def _step_back() -> None:
    """Let this thread, and those that it starts to verify files, run after the threads that answer requests."""
    if sys.platform == "linux":  # elsewhere a priority is the whole process's
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(os.getpriority(os.PRIO_PROCESS, thread), NICENESS))
