"""Read the vectors of users whose events came after a snapshot; the stream's workers write them (`stream.state`).

Numpy, the standard library and `training.contracts` only. One SQLite file per part of the users, in WAL mode: several
server processes read while a worker writes, and see each of its batches whole or not at all. What has been read stays
in this process, so that a lookup takes a user's row from a dictionary and asks the file only whether there is more.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from training.arrays import Floats

OVERLAY = "overlay"
"""Folder below the published one."""
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class FreshVector:
    """A user's newest vector: float32 [Z] as bytes, when the newest event of it was, whether behaviour is imagined."""

    vector: bytes
    newest_at: datetime
    is_virtual: bool


@dataclass(frozen=True)
class FreshRanker:
    """What ranks items for a user without history in the snapshot: a consumer's user vector, and items met since.

    `version` names the model of the consumer; `vector` is None where no consumer takes such users.
    """

    version: str
    vector: Floats | None
    seen: tuple[str, ...]


@dataclass
class _Part:
    """One file, and what has been read of it."""

    connection: sqlite3.Connection
    version: int = -1
    views: dict[tuple[str, str], int] = field(default_factory=dict)
    rows: dict[int, dict[str, FreshVector]] = field(default_factory=dict)
    change: dict[int, int] = field(default_factory=dict)


class Overlay:
    """Rows that are newer than a snapshot, by the snapshot's space and partition; safe in several threads."""

    def __init__(self, published_dir: Path) -> None:
        """Read below `published_dir`; no worker need have written anything yet."""
        self._folder = published_dir / OVERLAY
        self._lock = threading.Lock()
        self._parts: dict[str, _Part] = {}
        self._listed = -1

    def find(self, space_id: str, partition: str, user_ids: Iterable[str]) -> dict[str, FreshVector]:
        """Return the rows of those among `user_ids` whose events came after the snapshot."""
        with self._lock:
            sources = [rows for part in self._current() if (rows := self._rows(part, space_id, partition))]
        return {user: rows[user] for rows in sources for user in user_ids if user in rows}

    def ranker(self, space_id: str, partition: str, user_id: str) -> FreshRanker | None:
        """Return what ranks items for a user who has no history in the snapshot; None for any other."""
        query = (
            "select views.ranker, overlay.ranker, overlay.seen from overlay join views using (view) "
            "where space_id = ? and partition = ? and user_id = ? and is_new and vector is not null"
        )
        with self._lock:
            for part in self._current():
                found = part.connection.execute(query, (space_id, partition, user_id)).fetchone()
                if found:
                    version, vector, seen = found
                    values = None if vector is None else np.frombuffer(vector, np.float32)
                    return FreshRanker(version or "", values, tuple(json.loads(seen)))
        return None

    def users(self, space_id: str, partition: str) -> list[str]:
        """Return every user whose row would be read over the snapshot, sorted."""
        with self._lock:
            found = [self._rows(part, space_id, partition) for part in self._current()]
        return sorted(user for rows in found for user in rows)

    def _current(self) -> list[_Part]:
        """Open files that came, and read what was written since."""
        try:
            listed = self._folder.stat().st_mtime_ns
        except FileNotFoundError:
            return []
        if listed != self._listed:
            for path in sorted(self._folder.glob("users-*-of-*.db")):
                if path.name not in self._parts:
                    self._parts[path.name] = _Part(_connect(path))
            self._listed = listed
        for part in self._parts.values():
            self._read(part)
        return list(self._parts.values())

    def _read(self, part: _Part) -> None:
        (version,) = part.connection.execute("pragma data_version").fetchone()
        if version == part.version:
            return
        part.connection.execute("begin")
        try:
            if part.connection.execute("select 1 from sqlite_master where name = 'overlay'").fetchone() is None:
                return
            views = part.connection.execute("select view, space_id, partition from views").fetchall()
            part.views = {(space_id, partition): view for view, space_id, partition in views}
            kept = set(part.views.values())
            part.rows = {view: rows for view, rows in part.rows.items() if view in kept}
            for view in part.rows:
                self._extend(part, view)
        finally:
            part.connection.execute("commit")
        part.version = version

    def _rows(self, part: _Part, space_id: str, partition: str) -> dict[str, FreshVector]:
        view = part.views.get((space_id, partition))
        if view is None:
            return {}
        if view not in part.rows:
            part.rows[view], part.change[view] = {}, 0
            self._extend(part, view)
        return part.rows[view]

    def _extend(self, part: _Part, view: int) -> None:
        query = (
            "select user_id, change, vector, newest_at, is_virtual from overlay where view = ? and change > ? "
            "order by change"
        )
        rows = part.rows[view]
        for user_id, change, vector, newest_at, is_virtual in part.connection.execute(query, (view, part.change[view])):
            part.change[view] = change
            if vector is None:
                rows.pop(user_id, None)
            else:
                rows[user_id] = FreshVector(vector, datetime.fromtimestamp(newest_at / 1e6, UTC), bool(is_virtual))


def stack(rows: Sequence[FreshVector]) -> Floats:
    """Return vectors as float32 [n, Z]."""
    return np.frombuffer(b"".join(row.vector for row in rows), np.float32).reshape(len(rows), -1)


def _connect(path: Path) -> sqlite3.Connection:
    """Open for reading; the file is writable all the same, since readers in WAL mode keep their marks beside it."""
    connection = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False)
    connection.execute("pragma query_only = 1")
    return connection
