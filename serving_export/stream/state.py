"""Keep what a worker knows durably: events since the batch, the overlay made of them, the stream's position.

One SQLite file per part of the users. A batch of events, the rows that they changed and the position in the stream are
one transaction, on disk before the stream is told: after a kill the rest is replayed, and nothing is counted twice.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from serving_export.overlay import OVERLAY
from training.contracts.errors import AttuneError
from training.contracts.tombstones import TombstoneFile
from training.settings import Settings

DEAD_KEPT = 10_000
"""Newest dead letters kept; all are counted."""
PATIENCE_S = 60.0
_SCHEMA = """
create table if not exists events (
    number integer primary key autoincrement, event_id text not null unique, user_id text not null,
    item_id text not null, event_type text not null,
    event_value real, occurred_at integer not null, session_id text, surface text,
    arrived_on text not null, batch_day text);
create index if not exists events_by_user on events (user_id);
create index if not exists events_by_day on events (batch_day) where batch_day is not null;
create table if not exists users (
    number integer primary key autoincrement, user_id text not null unique, valid_from integer not null,
    profile text not null, arrived_on text not null, batch_day text);
create table if not exists views (
    view integer primary key autoincrement, space_id text not null, partition text not null, path text not null,
    ranker text, made_at real not null, unique (space_id, partition));
create table if not exists overlay (
    view integer not null, user_id text not null, change integer not null, newest_at integer not null,
    is_virtual integer not null, is_new integer not null, vector blob, ranker blob, seen text not null,
    primary key (view, user_id)) without rowid;
create index if not exists overlay_by_change on overlay (view, change);
create table if not exists dead (
    letter integer primary key autoincrement, entry text not null, reason text not null, "column" text not null,
    remedy text not null, payload text not null, at real not null);
create table if not exists facts (name text primary key, value text not null);
"""
_EVENT = "event_id, user_id, item_id, event_type, event_value, occurred_at, session_id, surface, arrived_on, batch_day"
_SIGN_UP = "user_id, valid_from, profile, arrived_on, batch_day"


class Event(NamedTuple):
    """One interaction; `occurred_at` in microseconds since 1970, `batch_day` the day with which the batch has it."""

    event_id: str
    user_id: str
    item_id: str
    event_type: str
    event_value: float | None
    occurred_at: int
    session_id: str | None
    surface: str | None
    arrived_on: str
    batch_day: str | None = None

    @property
    def content(self) -> tuple[Any, ...]:
        """What two deliveries of one event agree in."""
        return self.user_id, self.item_id, self.event_type, self.event_value, self.occurred_at


@dataclass(frozen=True)
class SignUp:
    """A user's row: `profile` by contract column, times in microseconds since 1970."""

    user_id: str
    valid_from: int
    profile: dict[str, Any]
    arrived_on: str
    batch_day: str | None = None


@dataclass(frozen=True)
class Row:
    """One row of the overlay; see `overlay.FreshVector` and `overlay.FreshRanker`."""

    user_id: str
    newest_at: int
    is_virtual: bool
    is_new: bool
    vector: bytes
    ranker: bytes | None
    seen: tuple[str, ...]


@dataclass(frozen=True)
class DeadLetter:
    """An entry that breaks the contract."""

    entry: str
    reason: str
    column: str
    remedy: str
    payload: str


@dataclass(frozen=True)
class ViewKey:
    """A snapshot over which rows are read: its space, partition and folder, and the cold-start model that is served."""

    space_id: str
    partition: str
    path: str
    ranker: str = ""


def state_path(settings: Settings, part: int) -> Path:
    """Return the file of one part of the users."""
    return settings.published_dir / OVERLAY / f"users-{part}-of-{settings.stream_partitions}.db"


def state_paths(settings: Settings) -> list[Path]:
    """Return the files that exist.

    Raises:
        AttuneError: Users were split into another number of parts when a file was written.
    """
    found = sorted((settings.published_dir / OVERLAY).glob("users-*-of-*.db"))
    for path in found:
        if not path.stem.endswith(f"-of-{settings.stream_partitions}"):
            raise AttuneError(
                f"expected users in {settings.stream_partitions} parts (ATTUNE_STREAM_PARTITIONS), found {path.name}; "
                "set the number back, or stop every worker once the stream is drained and remove the folder: users are "
                "then read from their daily vectors until their next events"
            )
    return found


class State:
    """One part's file, opened to write."""

    def __init__(self, path: Path) -> None:
        """Open the file, and make it where it is new."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.erased = path, TombstoneFile(path.parent.parent)
        self._connection = sqlite3.connect(path, timeout=PATIENCE_S, isolation_level=None)
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = full")
        with self.transaction():
            for statement in _SCHEMA.split(";"):
                self._connection.execute(statement)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the right to write; the block's writes become visible and durable together, or not at all."""
        self._connection.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._connection.execute("rollback")
            raise
        self._connection.execute("commit")

    # what has been taken in

    def known_events(self, event_ids: Sequence[str]) -> dict[str, Event]:
        """Return the stored events among some ids."""
        query = f"select {_EVENT} from events where event_id in (select value from json_each(?))"
        return {row[0]: Event(*row) for row in self._connection.execute(query, (json.dumps(event_ids),))}

    def add_events(self, events: Iterable[Event]) -> None:
        """Store events that are not yet."""
        self._connection.executemany(f"insert into events ({_EVENT}) values (?,?,?,?,?,?,?,?,?,?)", events)

    def events_of(self, user_ids: Sequence[str]) -> dict[str, list[Event]]:
        """Return users' stored events in the order of time, then id."""
        query = (
            f"select {_EVENT} from events where user_id in (select value from json_each(?)) "
            "order by occurred_at, event_id"
        )
        found: dict[str, list[Event]] = {user_id: [] for user_id in user_ids}
        for row in self._connection.execute(query, (json.dumps(list(user_ids)),)):
            found[row[1]].append(Event(*row))
        return found

    def put_sign_ups(self, sign_ups: Iterable[SignUp]) -> None:
        """Store users' rows over older ones; one that is older than what is stored changes nothing."""
        rows = [(s.user_id, s.valid_from, json.dumps(s.profile), s.arrived_on, s.batch_day) for s in sign_ups]
        self._connection.executemany(
            f"insert or replace into users ({_SIGN_UP}) select ?1, ?2, ?3, ?4, ?5 "
            "where not exists (select 1 from users where user_id = ?1 and valid_from >= ?2)",
            rows,
        )

    def sign_ups_of(self, user_ids: Sequence[str]) -> dict[str, SignUp]:
        """Return the stored rows of users."""
        query = f"select {_SIGN_UP} from users where user_id in (select value from json_each(?))"
        rows = self._connection.execute(query, (json.dumps(list(user_ids)),))
        return {row[0]: _sign_up(row) for row in rows}

    def touched_users(self, partition: str = "", since: tuple[int, int] = (0, 0)) -> list[str]:
        """Return the users of whom something is stored that the batch of `partition` has not taken in, sorted.

        Args:
            partition: The day; "" takes everyone.
            since: Only what was stored after `marks()` returned this.
        """
        query = (
            "select user_id from events where number > ? and (batch_day is null or batch_day > ?) union "
            "select user_id from users where number > ? and (batch_day is null or batch_day > ?) order by 1"
        )
        return [row[0] for row in self._connection.execute(query, (since[0], partition, since[1], partition))]

    def marks(self) -> tuple[int, int]:
        """Return how far the two tables reach, to ask later what came since."""
        events, users = (
            self._connection.execute(f"select coalesce(max(number), 0) from {name}").fetchone()[0]
            for name in ("events", "users")
        )
        return events, users

    # what the batch has

    def not_in_batch(self) -> tuple[list[Event], list[SignUp]]:
        """Return what no day's log is known to hold yet."""
        events = self._connection.execute(f"select {_EVENT} from events where batch_day is null").fetchall()
        users = self._connection.execute(f"select {_SIGN_UP} from users where batch_day is null").fetchall()
        return [Event(*row) for row in events], [_sign_up(row) for row in users]

    def mark_in_batch(self, events: Iterable[tuple[str, str]], users: Iterable[tuple[str, str]]) -> None:
        """Store with which day the batch takes things in: pairs of event id and day, and of user id and day."""
        self._connection.executemany("update events set batch_day = ?2 where event_id = ?1", list(events))
        self._connection.executemany("update users set batch_day = ?2 where user_id = ?1", list(users))

    def taken_between(self, after: str, until: str) -> dict[str, list[Event]]:
        """Return, by user, the events that the batches of (after, until] took in."""
        query = (
            f"select {_EVENT} from events where batch_day > ? and batch_day <= ? order by user_id, occurred_at, "
            "event_id"
        )
        found: dict[str, list[Event]] = {}
        for row in self._connection.execute(query, (after, until)):
            found.setdefault(row[1], []).append(Event(*row))
        return found

    def signed_up_between(self, after: str, until: str) -> list[str]:
        """Return the users whose row the batches of (after, until] took in."""
        query = "select user_id from users where batch_day > ? and batch_day <= ?"
        return [row[0] for row in self._connection.execute(query, (after, until))]

    def forget_taken(self, until: str) -> None:
        """Remove what the batch of `until` or an earlier one has taken in."""
        for name in ("events", "users"):
            self._connection.execute(f"delete from {name} where batch_day <= ?", (until,))

    # the overlay

    def views(self) -> dict[ViewKey, int]:
        """Return the snapshots over which rows are kept, with their numbers."""
        query = "select space_id, partition, path, ranker, view from views order by view"
        return {ViewKey(*row[:4]): row[4] for row in self._connection.execute(query)}

    def add_view(self, key: ViewKey) -> int:
        """Store a snapshot to keep rows over, and return its number; one of the same space and day is replaced."""
        old = self._connection.execute(
            "select view from views where space_id = ? and partition = ?", (key.space_id, key.partition)
        ).fetchone()
        if old:
            self.drop_view(old[0])
        added = self._connection.execute(
            "insert into views (space_id, partition, path, ranker, made_at) values (?,?,?,?,?)",
            (key.space_id, key.partition, key.path, key.ranker, time.time()),
        )
        assert added.lastrowid is not None
        return added.lastrowid

    def drop_view(self, view: int) -> None:
        """Remove a snapshot's rows."""
        for name in ("overlay", "views"):
            self._connection.execute(f"delete from {name} where view = ?", (view,))

    def view_ages(self) -> dict[int, float]:
        """Return the seconds since each view was made."""
        now = time.time()
        return {view: now - made for view, made in self._connection.execute("select view, made_at from views")}

    def put_rows(self, view: int, rows: Iterable[Row]) -> None:
        """Put users' rows over their older ones; none of an erased user, which was perhaps made before the erasure."""
        change = int(self.fact("change") or 0)
        values, tombstones = [], self.erased.read()
        for row in rows:
            if tombstones and tombstones.among([row.user_id])[0]:
                continue
            change += 1
            flags = int(row.is_virtual), int(row.is_new)
            seen = json.dumps(row.seen) if row.seen else "[]"
            values.append((view, row.user_id, change, row.newest_at, *flags, row.vector, row.ranker, seen))
        self._connection.executemany("insert or replace into overlay values (?,?,?,?,?,?,?,?,?)", values)
        self.put_fact("change", change)

    def erase(self, user_id: str) -> None:
        """Remove a person: events, row, and the overlay's rows, of which readers are told."""
        for name in ("events", "users"):
            self._connection.execute(f"delete from {name} where user_id = ?", (user_id,))
        for form in {json.dumps(user_id), json.dumps(user_id, ensure_ascii=False)}:
            self._connection.execute("delete from dead where instr(payload, ?) > 0", (form,))
        change = int(self.fact("change") or 0) + 1
        self._connection.execute(
            "update overlay set vector = null, ranker = null, seen = '[]', change = ? where user_id = ?",
            (change, user_id),
        )
        self.put_fact("change", change)

    # the rest

    @property
    def position(self) -> str:
        """The last entry of the stream that was taken in; "" before the first."""
        return str(self.fact("position") or "")

    def fact(self, name: str) -> Any:
        """Return a stored value, None where there is none."""
        found = self._connection.execute("select value from facts where name = ?", (name,)).fetchone()
        return json.loads(found[0]) if found else None

    def put_fact(self, name: str, value: Any) -> None:
        """Store a JSON value."""
        self._connection.execute("insert or replace into facts values (?, ?)", (name, json.dumps(value)))

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Keep entries that break the contract, the newest `DEAD_KEPT`."""
        now = time.time()
        rows = [(*asdict(letter).values(), now) for letter in letters]
        self._connection.executemany(
            'insert into dead (entry, reason, "column", remedy, payload, at) values (?,?,?,?,?,?)', rows
        )
        self._connection.execute(
            "delete from dead where letter <= (select coalesce(max(letter), 0) from dead) - ?", (DEAD_KEPT,)
        )

    def dead_letters(self, newest: int = 20) -> list[DeadLetter]:
        """Return the newest dead letters, newest first."""
        query = 'select entry, reason, "column", remedy, payload from dead order by letter desc limit ?'
        return [DeadLetter(*row) for row in self._connection.execute(query, (newest,))]

    def count_dead(self) -> int:
        """Return how many entries were ever buried."""
        found = self._connection.execute("select seq from sqlite_sequence where name = 'dead'").fetchone()
        return int(found[0]) if found else 0

    def count_rows(self, view: int) -> int:
        """Return how many users have a row over a snapshot."""
        query = "select count(*) from overlay where view = ? and vector is not null"
        return int(self._connection.execute(query, (view,)).fetchone()[0])


def _sign_up(row: tuple[Any, ...]) -> SignUp:
    return SignUp(row[0], row[1], json.loads(row[2]), row[3], row[4])
