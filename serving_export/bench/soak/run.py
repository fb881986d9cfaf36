"""Drive a home for some minutes: reads and events all the while, moves and kills at set times, then the account."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from serving_export.bench.servers import HOST, free_port
from serving_export.bench.soak.events import Sender, Sent
from serving_export.bench.soak.home import FORCED, Size, prepare
from serving_export.bench.soak.processes import (
    LATE_SHARE,
    Memory,
    Server,
    Trend,
    environment_of,
    lookups,
    valkey,
    wait_listening,
    worker,
)
from serving_export.bench.soak.reads import Reader
from serving_export.bench.soak.settle import (
    against_batch,
    apart,
    counts_in_batch,
    drain,
    kept,
    lost_in_batch,
    lost_in_stream,
)
from serving_export.bench.soak.tally import Tally
from serving_export.stream.redis_streams import connect
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.settings import REPO_ROOT, Settings

logger = logging.getLogger(__name__)
READERS = 3
PARTS = 2
REPLACED_WITHIN_S = 120.0


@dataclass
class Account:
    """What a soak came to.

    Attributes:
        tally: Requests, and what is broken.
        done: Moves and kills, each with the second at which it was begun and how long it took.
        trends: Memory of every process.
        sent: By sender.
        dead: Dead letters by reason.
        fresh: Users with a vector of their own over the live snapshot, before the batch took the events in.
        parity: Of each part.
    """

    tally: Tally = field(default_factory=Tally)
    done: list[tuple[float, str, float]] = field(default_factory=list)
    trends: list[Trend] = field(default_factory=list)
    sent: dict[str, Sent] = field(default_factory=dict)
    dead: dict[str, int] = field(default_factory=dict)
    fresh: int = 0
    parity: list[dict[str, Any]] = field(default_factory=list)


def soak(settings: Settings, minutes: float, size: Size | None = None) -> Account:
    """Return the account of some minutes on a home of the soak's own below the caller's, which is removed.

    Raises:
        AttuneError: That home could not be prepared.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".soak-", dir=settings.home) as folder:
        return soak_at(Path(folder), settings.seed, minutes, size or Size())


def soak_at(home: Path, seed: int, minutes: float, size: Size) -> Account:
    """Return the account of some minutes on a home in a folder, which may be prepared already.

    What ends it early is broken too: what was found until then is told all the same.
    """
    environment = {"ATTUNE_HOME": str(home), "ATTUNE_SEED": str(seed), "ATTUNE_STREAM_PARTITIONS": str(PARTS)}
    prepared = Settings.from_env(environment)
    day = prepare(prepared, size)
    port = free_port()
    settings, account = replace(prepared, stream=f"redis://{HOST}:{port}/0"), Account()
    before = counts_in_batch(settings, day.shift(-1))
    with _told(account.tally), _servers(settings, port) as servers:
        _drive(settings, day, servers, minutes * 60, account)
        drain(settings, servers.require_running)
        _settle(settings, day, before, servers, account)
    return account


@contextmanager
def _told(tally: Tally) -> Iterator[None]:
    """Count what ends a soak early, an interrupt as well, among what is broken."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        logger.exception("the soak ended early")
        tally.fail(f"the soak ended early: {type(error).__name__}: {error}")


@dataclass(frozen=True)
class _Servers:
    """Everything that runs, and the port that lookups are asked at."""

    valkey: Server
    lookups: Server
    workers: list[Server]
    valkey_port: int
    port: int

    @property
    def all(self) -> list[Server]:
        return [self.valkey, self.lookups, *self.workers]

    def require_running(self) -> None:
        """Raise AttuneError if one has ended by itself."""
        for server in self.all:
            server.require_running()


@contextmanager
def _servers(settings: Settings, valkey_port: int) -> Iterator[_Servers]:
    with ExitStack() as stack:
        events = valkey(settings, valkey_port)
        stack.callback(events.end)
        wait_listening(events, valkey_port)
        port = free_port()
        answering = lookups(settings, port)
        stack.callback(answering.end)
        following = [worker(settings, part) for part in range(PARTS)]
        for one in following:
            stack.callback(one.end)
        wait_listening(answering, port, "/readyz")
        yield _Servers(events, answering, following, valkey_port, port)


def _drive(settings: Settings, day: Partition, servers: _Servers, seconds: float, account: Account) -> None:
    """Have everything ask, send and watch while the moves are made."""
    tally, stopped, unwatched = account.tally, threading.Event(), threading.Event()
    memory = Memory(servers.all)
    senders = {
        "/events": Sender(settings, day, tally, 11, port=servers.port),
        "straight": Sender(settings, day, tally, 12, client=connect(settings)),
    }
    readers = [Reader(settings, servers.port, tally, seed) for seed in range(READERS)]
    runs = [*(one.run for one in readers), *(one.run for one in senders.values())]
    threads = [threading.Thread(target=one, args=(stopped,)) for one in runs]
    watching = threading.Thread(target=memory.watch, args=(unwatched,))
    for thread in (*threads, watching):
        thread.start()
    try:
        _move(settings, day, servers, seconds, account)
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
        unwatched.set()
        watching.join()
        account.trends = memory.trends(LATE_SHARE * seconds)
        account.sent = {name: sender.sent for name, sender in senders.items()}
    servers.require_running()


def _move(settings: Settings, day: Partition, servers: _Servers, seconds: float, account: Account) -> None:
    """Make every move at its share of the time; where moves take long the rest is later, and the last part as long."""
    built = str(day.shift(-1))
    moves: list[tuple[float, str, Callable[[], object]]] = [
        (0.06, "refresh", lambda: attune(settings, "refresh", "--partition", built)),
        (0.12, "stream worker killed", servers.workers[0].kill),
        (0.18, "promotion to a second space", lambda: _promote(settings, built)),
        (0.26, "stream worker killed", servers.workers[1].kill),
        (0.32, "lookup worker killed", lambda: _kill_lookup_worker(servers.lookups, account.tally)),
        (0.38, "rollback", lambda: attune(settings, "rollback")),
        (0.44, "server of streams killed", lambda: _kill_valkey(servers, account.tally)),
        (0.50, "second promotion", lambda: _promote(settings, built)),
    ]
    began = time.monotonic()
    for share, name, make in moves:
        _wait_until(began + share * seconds, servers)
        started = time.monotonic()
        make()
        account.done.append((started - began, name, time.monotonic() - started))
        logger.info("%5.0f s: %s, %.1f s", *account.done[-1])
    _wait_until(max(began + seconds, time.monotonic() + LATE_SHARE * seconds), servers)


def _wait_until(moment: float, servers: _Servers) -> None:
    while (left := moment - time.monotonic()) > 0:
        servers.require_running()
        threading.Event().wait(min(left, 1.0))


def attune(settings: Settings, *arguments: str) -> dict[str, Any]:
    """Return what a command says, run in a process of its own as an operator runs it.

    Raises:
        AttuneError: It fails.
    """
    command = [sys.executable, "-m", "serving_export", *arguments, "--json"]
    environment = {**os.environ, **environment_of(settings)}
    done = subprocess.run(command, env=environment, cwd=REPO_ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AttuneError(f"expected {' '.join(arguments)} to succeed, found {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _promote(settings: Settings, day: str) -> None:
    found = attune(settings, "promote", "--partition", day, "--force", FORCED)
    if not found["promoted"]:
        raise AttuneError(f"expected the space of {day} to be promoted, found: {found['reason']}")


def _kill_lookup_worker(server: Server, tally: Tally) -> None:
    """Kill one of the workers, and wait until another has taken its place."""
    before = {one.pid for one in _lookup_workers(server)}
    with tally.killing():
        os.kill(min(before), signal.SIGKILL)
        until = time.monotonic() + REPLACED_WITHIN_S
        while not {one.pid for one in _lookup_workers(server)} - before:
            if time.monotonic() > until:
                raise AttuneError(f"expected a killed worker to be replaced within {REPLACED_WITHIN_S:.0f} s")
            threading.Event().wait(0.1)


def _lookup_workers(server: Server) -> list[psutil.Process]:
    """Return uvicorn's workers that run; one that was killed may be there still, until its parent has looked."""
    found = []
    for one in server.children():
        with suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
            found += [one] if "spawn_main" in " ".join(one.cmdline()) else []
    return found


def _kill_valkey(servers: _Servers, tally: Tally) -> None:
    with tally.killing():
        servers.valkey.kill()
        wait_listening(servers.valkey, servers.valkey_port)


def _settle(settings: Settings, day: Partition, before: dict[str, int], servers: _Servers, account: Account) -> None:
    """Hold what was sent against the stream's state, and against the batch of the day, which gets the same events."""
    rows = [row for sent in account.sent.values() for row in sent.accepted.values()]
    state = kept(settings)
    account.dead, account.fresh = state.dead, len(state.fresh_users)
    account.tally.fail_all(lost_in_stream(state, rows, [sent.dead for sent in account.sent.values()]))
    account.tally.fail_all(one.complaint for one in account.trends if not one.is_flat)
    account.parity = against_batch(settings, day, rows, servers.require_running)
    account.tally.fail_all(lost_in_batch(before, counts_in_batch(settings, day), rows))
    account.tally.fail_all(apart(account.parity, rows))
