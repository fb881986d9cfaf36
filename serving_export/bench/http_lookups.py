"""Time lookups over HTTP beside `feast serve`, Feast's SDK and a Redis server that holds the same bytes."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection
from typing import Any

import numpy as np
import orjson

from serving_export.bench.lookups import WIDTH, feast_reader, publish_vectors
from serving_export.bench.servers import HOST, Running, feast_server, lookup_server
from serving_export.vector_bytes import decode
from training.bench.shared.timing import Timing, samples_each
from training.bench.speed.materialise import redis_server
from training.settings import Settings

BATCHES = (100, 500)
LOADED_BATCH, LOADED_CONNECTIONS, LOADED_S = 100, 2, 4.0
TURNS, IN_A_ROW = 20, 11
"""Ten calls of each turn are counted."""
MEDIANS = {("ours", 100): 1.5, ("ours", 500): 3.0, ("json", 500): 10.0}
"""Milliseconds that a lookup may take in the median, by way and number of users."""
TIMES = {"feast serve": 35.0}
"""How many times as fast as an incumbent a float32 lookup is to be in the median."""
LOADED_KEYS, LOADED_P99 = 110_000.0, 3.0
JSON = {"content-type": "application/json"}
Read = Callable[[Sequence[str]], object]


def http_timings(settings: Settings, num_users: int, feast_users: int, turns: int = TURNS) -> list[Timing]:
    """Return median and 99th percentile per batch size, then keys per second and core under load.

    Args:
        settings: A home of the benchmark's own; a snapshot is published into it.
        num_users: Users in the snapshot.
        feast_users: Users that Feast and Redis hold, and of whom is asked.
        turns: Turns that the ways take; each asks `IN_A_ROW` times.
    """
    from redis import Redis

    rng = np.random.default_rng(settings.seed)
    user_ids = [f"u{n:07d}" for n in range(num_users)]
    vectors = rng.normal(size=(num_users, WIDTH)).astype(np.float32)
    publish_vectors(settings, user_ids, vectors)
    folder = settings.home / "feast_http"
    sdk = feast_reader(folder, user_ids[:feast_users], vectors[:feast_users])
    with lookup_server(settings.home) as ours, feast_server(folder) as feast, redis_server() as address:
        redis = Redis.from_url(address)
        redis.mset({user: row.tobytes() for user, row in zip(user_ids[:feast_users], vectors, strict=False)})
        wanted = [user_ids[row] for row in rng.choice(feast_users, max(BATCHES), replace=False)]
        reads: dict[str, Read] = {
            "ours": lookups_by(ours, "binary"),
            "json": lookups_by(ours, "json"),
            "empty": empty_by(ours),
            "feast serve": feast_lookups_by(feast),
            "Feast SDK": lambda users: sdk(list(users)),
            "Redis MGET": lambda users: np.frombuffer(b"".join(redis.mget(list(users))), "<f4").reshape(-1, WIDTH),  # type: ignore[arg-type, union-attr]
        }
        gc.collect()
        gc.freeze()  # what Feast has loaded here would hold up whoever is timed when it is gone through
        lines = [line for size in BATCHES for line in _lines(reads, wanted[:size], num_users, turns)]
        lines += _loaded(ours, feast, wanted[:LOADED_BATCH])
        gc.unfreeze()
        return lines


def lookups_by(server: Running, form: str) -> Read:
    """Return a lookup over one connection that stays open, which ends with the vectors in an array."""
    connection = HTTPConnection(HOST, server.port, timeout=60)

    def read(users: Sequence[str]) -> object:
        answer = _post(connection, "/embeddings", {"user_ids": users, "format": form})
        return decode(answer).vectors if form == "binary" else orjson.loads(answer)

    return read


def empty_by(server: Running) -> Read:
    """Return a request that asks for nothing: what any answer over HTTP costs."""
    connection = HTTPConnection(HOST, server.port, timeout=60)

    def read(_: Sequence[str]) -> object:
        connection.request("GET", "/healthz")
        return connection.getresponse().read()

    return read


def feast_lookups_by(server: Running) -> Read:
    """Return a lookup of the same vectors from `feast serve`, over one connection that stays open."""
    connection = HTTPConnection(HOST, server.port, timeout=60)

    def read(users: Sequence[str]) -> object:
        body = {"features": ["vectors:vector"], "entities": {"user_id": users}}
        return orjson.loads(_post(connection, "/get-online-features", body))

    return read


def _post(connection: HTTPConnection, path: str, body: Mapping[str, Any]) -> bytes:
    connection.request("POST", path, orjson.dumps(body), JSON)
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status == 200, content[:200]
    return content


def _lines(reads: Mapping[str, Read], users: Sequence[str], num_users: int, turns: int) -> list[Timing]:
    calls = {name: (lambda read=read: read(users)) for name, read in reads.items()}  # type: ignore[misc]
    taken = {name: np.array(found) * 1000 for name, found in samples_each(calls, turns, IN_A_ROW).items()}
    what = f"over HTTP, {len(users)} of {num_users:,} users × {WIDTH}"
    others = ("feast serve", "Feast SDK", "Redis MGET")
    return [
        Timing(
            what=f"{what}, {form}, {name}",
            unit="ms",
            ours=float(np.quantile(taken[key], share)),
            incumbents={other: float(np.quantile(taken[other], share)) for other in others},
            limits={"an empty answer": float(np.quantile(taken["empty"], share))},
            target=MEDIANS.get((key, len(users))) if name == "median" else None,
            times=TIMES if (key, name) == ("ours", "median") else {},
        )
        for key, form in (("ours", "float32"), ("json", "JSON"))
        for name, share in (("median", 0.5), ("p99", 0.99))
    ]


def _loaded(ours: Running, feast: Running, users: Sequence[str]) -> list[Timing]:
    """Return keys per second of the servers' CPU, and ours' 99th percentile meanwhile."""
    keys, latencies = under_load(ours, lambda: lookups_by(ours, "binary"), users)
    feast_keys, feast_latencies = under_load(feast, lambda: feast_lookups_by(feast), users)
    what = f"over HTTP, {LOADED_CONNECTIONS} connections, {len(users)} keys a request"
    return [
        Timing(
            what=f"{what}, keys per second and core",
            unit="keys/s",
            ours=keys,
            incumbents={"feast serve": feast_keys},
            target=LOADED_KEYS,
        ),
        Timing(
            what=f"{what}, p99",
            unit="ms",
            ours=float(np.quantile(latencies, 0.99)),
            incumbents={"feast serve": float(np.quantile(feast_latencies, 0.99))},
            target=LOADED_P99,
        ),
    ]


def under_load(
    server: Running, reader: Callable[[], Read], users: Sequence[str], seconds: float = LOADED_S
) -> tuple[float, list[float]]:
    """Ask over several connections as fast as they answer.

    Returns:
        Keys per second of CPU that the server took, and the milliseconds of every request.
    """
    latencies: list[float] = []
    before, until = server.cpu_seconds(), time.perf_counter() + seconds

    def ask() -> None:
        read = reader()
        while (started := time.perf_counter()) < until:
            read(users)
            latencies.append(1000 * (time.perf_counter() - started))

    threads = [threading.Thread(target=ask) for _ in range(LOADED_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(users) * len(latencies) / (server.cpu_seconds() - before), latencies
