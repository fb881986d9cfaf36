"""Ask a lookup server everything that it answers, and hold vectors against the home's own."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from serving_export.bench.servers import HOST
from serving_export.bench.soak.tally import Tally
from serving_export.lookup import EmbeddingStore
from serving_export.packed import unpack_ids
from serving_export.vector_bytes import decode
from training.arrays import Floats
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.registry.pointer import PublishedSnapshot
from training.settings import Settings

TIMEOUT_S = 120.0
BATCH = 50
PAUSE_S = 0.02
"""Between two requests of a reader: the servers are to be busy, the machine is not to be full."""
TOLERANCE = {"float32": 0.0, "float16": 1e-2, "int8": 5e-2}
"""Largest error, as a share of the row's largest number, of what an answer's numbers were put into."""
ASKS_PER_CONNECTION = 100
"""Requests of one connection: who stays with one keeps to one of the workers, and the other has nothing to do."""
LAG_S = 10.0
"""How long a worker may go on answering from the snapshot before a move: it opens the next one behind its answers."""
JSON = {"content-type": "application/json"}
NO_SPACE = "20000101-00000000"


class Request(NamedTuple):
    """One request, and the status that it is to be answered with."""

    kind: str
    method: str
    path: str
    body: dict[str, Any] | None = None
    expected: int = 200


class Client:
    """One connection at a time, opened again after a while and where it has ended."""

    def __init__(self, port: int, tally: Tally) -> None:
        """Ask the server at a port; count in `tally`."""
        self._port, self._tally = port, tally
        self._connection, self._asked = self._opened(), 0

    def ask(self, request: Request) -> bytes | None:
        """Return the expected answer's body, None for any other."""
        body = None if request.body is None else orjson.dumps(request.body)
        if self._asked == ASKS_PER_CONNECTION:
            self._reopen()
        self._asked += 1
        started = time.perf_counter()
        try:
            self._connection.request(request.method, request.path, body, JSON)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException) as error:
            self._tally.lost(request.kind, error)
            self._reopen()
            return None
        taken = time.perf_counter() - started
        return content if self._tally.answered(request.kind, taken, answer.status, request.expected, content) else None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _reopen(self) -> None:
        self.close()
        self._connection, self._asked = self._opened(), 0

    def _opened(self) -> HTTPConnection:
        return HTTPConnection(HOST, self._port, timeout=TIMEOUT_S)


class Reader:
    """One client that asks for one thing after another until told to stop."""

    def __init__(self, settings: Settings, port: int, tally: Tally, seed: int) -> None:
        """Draw users and items of what is served."""
        self._client, self._tally = Client(port, tally), tally
        self._draw = np.random.default_rng(seed)
        self._published = settings.published_dir
        self._store = EmbeddingStore(settings.published_dir)
        self._users = unpack_ids(self._store.snapshot.user_ids)
        self._items = unpack_ids(self._store.snapshot.consumer("matching").items.ids)
        self._was_live: dict[tuple[str, datetime], float] = {}
        self._was_served: dict[tuple[str, datetime], float] = {}

    def run(self, stopped: threading.Event) -> None:
        """Ask until told to stop; what goes wrong here is broken too."""
        kinds = [self._binary, self._binary, self._json, self._arrow, *map(self._plain, range(len(self._requests())))]
        try:
            while not stopped.wait(PAUSE_S):
                kinds[int(self._draw.integers(len(kinds)))]()
        except Exception as error:
            self._tally.fail(f"a reader ended: {type(error).__name__}: {error}")
            raise
        finally:
            self._client.close()

    def _some(self, ids: Sequence[str], number: int = 1) -> list[str]:
        return [ids[int(row)] for row in self._draw.integers(len(ids), size=number)]

    def _requests(self) -> list[Request]:
        """Return one request of each kind whose vectors are not compared."""
        [user], [item], users = self._some(self._users), self._some(self._items), self._some(self._users, 5)
        live = self._store.pointer.live
        entities = {"user_id": users}
        packed = {"user_id": users, "space_id": [live.space_id] * len(users)}
        return [
            Request("one vector", "GET", f"/users/{user}/embedding"),
            Request("recommend", "GET", f"/recommend/{user}?k=10"),
            Request("recommend, several", "POST", "/recommend", {"user_ids": users}),
            Request("target", "GET", f"/target/{item}?k=10"),
            Request("similar-users", "GET", f"/similar-users/{user}"),
            Request("similar-items", "GET", f"/similar-items/{item}"),
            Request("spaces", "GET", "/spaces"),
            Request("features online", "POST", "/get-online-features",
                    {"features": ["user_activity:recency_days"], "entities": entities}),
            Request("vectors as Feast's", "POST", "/get-online-features",
                    {"features": ["user_embedding:vector"], "entities": packed}),
            Request("unknown user", "GET", "/users/nobody/embedding", expected=404),
            Request("space not served", "POST", "/embeddings", {"user_ids": users, "space": NO_SPACE}, 409),
            Request("broken body", "POST", "/embeddings", {"user_ids": "no list"}, 422),
            Request("history", "POST", "/history",
                    {"user_ids": users, "as_of": [self._store.snapshot.as_of.isoformat()] * len(users),
                     "space": live.space_id}),
        ]  # fmt: skip

    def _plain(self, number: int) -> Callable[[], None]:
        def ask() -> None:
            request = self._requests()[number]
            content = self._client.ask(request)
            if content is not None and request.kind == "history":
                self._check_history(pq.read_table(io.BytesIO(content)), str((request.body or {})["space"]))

        return ask

    def _binary(self) -> None:
        number = str(self._draw.choice(list(TOLERANCE)))
        body = {"format": "binary", "dtype": number}
        self._vectors(f"embeddings, binary {number}", body, _of_binary, TOLERANCE[number])

    def _json(self) -> None:
        self._vectors("embeddings, json", {"format": "json"}, _of_json, 0.0)

    def _arrow(self) -> None:
        self._vectors("embeddings, arrow, pinned", {"format": "arrow", "space": "live"}, _of_arrow, 0.0)

    def _vectors(self, kind: str, body: dict[str, Any], read: Callable[[bytes], Answered], tolerance: float) -> None:
        """Ask for vectors, and hold them against the home's own: those that were the same before and after it."""
        self._look()
        users = sorted(set(self._some(self._users, BATCH)))
        pinned = {"space": self._store.space_id} if "space" in body else {}
        before, live = self._own(users), self._store.pointer.live
        content = self._client.ask(Request(kind, "POST", "/embeddings", {**body, **pinned, "user_ids": users}))
        if content is None:
            return
        found = read(content)
        if (found.space_id, found.as_of) != (live.space_id, self._store.snapshot.as_of):
            self._check_other(found, users, is_pinned=bool(pinned))
            return
        after = self._own(users)
        quiet = (before == after).all(axis=1)
        self._compare(kind, live, users, found.vectors[quiet], before[quiet], quiet, tolerance)
        self._tally.check("in flight", int((~quiet).sum()))

    def _look(self) -> None:
        """Open what the pointer names, and note when it was seen to."""
        with suppress(AttuneError):  # a pointer whose snapshots go while they are opened is read again next time
            self._store.reload()
        now, pointer = time.monotonic(), self._store.pointer
        self._was_live[_named(pointer.live)] = now
        self._was_served.update(dict.fromkeys(map(_named, pointer.snapshots), now))

    def _own(self, users: list[str]) -> Floats:
        return self._store.lookup(users).vectors

    def _check_other(self, found: Answered, users: list[str], *, is_pinned: bool) -> None:
        """Hold an answer of another snapshot than is live to be of one that was until just now (pinned: served)."""
        self._look()
        seen = (self._was_served if is_pinned else self._was_live).get((found.space_id, found.as_of))
        if seen is None or time.monotonic() - seen > LAG_S:
            live = self._store.pointer.live
            what = f"{live.space_id} of {live.partition}"
            self._tally.fail(f"expected vectors of {what}, found those of {found.space_id} as of {found.as_of}")
            return
        self._tally.check("moved meanwhile", len(users))

    def _compare(
        self,
        kind: str,
        live: PublishedSnapshot,
        users: list[str],
        found: Floats,
        own: Floats,
        quiet: Any,
        tolerance: float,
    ) -> None:
        scale = np.maximum(np.abs(own).max(axis=1, initial=0.0), 1e-6)
        wrong = np.abs(found - own).max(axis=1, initial=0.0) > tolerance * scale
        self._tally.check("as the home's own", int((~wrong).sum()))
        if wrong.any():
            asked = np.array(users, dtype=object)[quiet][wrong]
            self._tally.check("other", int(wrong.sum()))
            self._tally.fail(
                f"{kind}: expected the vectors of {live.space_id} of {live.partition}, found others of {asked[:5]}"
            )

    def _check_history(self, table: pa.Table, space_id: str) -> None:
        spaces = set(table["space_id"].drop_null().to_pylist())
        if spaces - {space_id}:
            self._tally.fail(f"history: expected rows of {space_id}, found {spaces}")


def _named(entry: PublishedSnapshot) -> tuple[str, datetime]:
    return entry.space_id, Partition.parse(entry.partition).as_of


class Answered(NamedTuple):
    """Vectors of an answer, float32 [n, Z], and the space and the moment that it names."""

    space_id: str
    as_of: datetime
    vectors: Floats


def _of_binary(content: bytes) -> Answered:
    found = decode(content)
    return Answered(found.space_id, found.as_of, found.vectors)


def _of_json(content: bytes) -> Answered:
    found = orjson.loads(content)
    vectors = np.array([one["vector"] for one in found["users"]], np.float32)
    return Answered(found["space_id"], datetime.fromisoformat(found["as_of"]), vectors)


def _of_arrow(content: bytes) -> Answered:
    table = pa.ipc.open_stream(content).read_all()
    about = table.schema.metadata or {}
    vectors = np.array(table["vector"].to_pylist(), np.float32)
    return Answered(about[b"space_id"].decode(), datetime.fromisoformat(about[b"as_of"].decode()), vectors)
