"""Run the real servers of a soak in processes of their own, end them hard, and watch their memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from serving_export.bench.servers import answers
from serving_export.stream.own_server import valkey_command
from training.contracts.errors import AttuneError
from training.settings import REPO_ROOT, Settings

STARTS_WITHIN_S = 300.0
ENDS_WITHIN_S = 20.0
SAMPLE_EVERY_S = 1.0
FLAT_MB = 20.0
FLAT_SHARE = 0.1
"""Memory is flat where its trend over the last part of a run comes to less than either of these."""
LATE_SHARE = 0.4
"""The last part of a run, whose trend is judged: every move of what is served lies before it."""


class Server:
    """One command that is kept running, in a process group of its own, until it is ended or killed."""

    def __init__(self, name: str, command: Sequence[str], environment: dict[str, str], log: Path) -> None:
        """Start it; what it prints goes to `log`."""
        self.name, self._command, self._environment, self._log = name, list(command), environment, log
        self._start()

    @property
    def process_id(self) -> int:
        """The id of its first process."""
        return self._process.pid

    def children(self) -> list[psutil.Process]:
        """Return the processes that it has started and that run."""
        with suppress(psutil.NoSuchProcess):
            return list(psutil.Process(self.process_id).children(recursive=True))
        return []

    def kill(self) -> None:
        """End it with SIGKILL, as the kernel does when memory runs out, and start it again, as a supervisor does."""
        self._process.kill()
        self._process.wait()
        self._start()

    def end(self) -> None:
        """Ask it to end; what is left of its group after a while is killed."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDS_WITHIN_S)
        with suppress(ProcessLookupError):
            os.killpg(self.process_id, signal.SIGKILL)
        self._process.wait()

    def require_running(self) -> None:
        """Raise AttuneError if it has ended by itself."""
        if self._process.poll() is not None:
            raise AttuneError(f"expected {self.name} to run, found it ended: {self._process.poll()}; see {self._log}")

    def _start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env={**os.environ, **self._environment},
                cwd=REPO_ROOT,
                start_new_session=True,
                stdout=log,
                stderr=log,
            )


def environment_of(settings: Settings) -> dict[str, str]:
    """Return what processes of a home are told."""
    return {
        "ATTUNE_HOME": str(settings.home),
        "ATTUNE_SEED": str(settings.seed),
        "ATTUNE_STREAM": settings.stream,
        "ATTUNE_STREAM_PARTITIONS": str(settings.stream_partitions),
        "OMP_NUM_THREADS": "1",
    }


def valkey(settings: Settings, port: int) -> Server:
    """Start the server of streams, which keeps its entries on disk as the one of `make up` does."""
    command = valkey_command(settings, port, appendfsync="always")
    return Server("valkey", command, {}, settings.home / "valkey.log")


def lookups(settings: Settings, port: int) -> Server:
    """Start the lookup server with two workers."""
    return _attune(settings, "lookups", "serve", "--port", str(port), "--workers", "2")


def worker(settings: Settings, part: int) -> Server:
    """Start the worker of one part of the users."""
    return _attune(settings, f"stream {part}", "stream", "--part", str(part))


def _attune(settings: Settings, name: str, *arguments: str) -> Server:
    command = [sys.executable, "-m", "serving_export", *arguments]
    return Server(name, command, environment_of(settings), settings.home / f"{name.replace(' ', '-')}.log")


def wait_listening(server: Server, port: int, path: str = "") -> None:
    """Wait until a port is listened on or, with a path, until that is answered with 200.

    Raises:
        AttuneError: The server ends, or does not answer in time.
    """
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until:
        server.require_running()
        if answers(port, path):
            return
        time.sleep(0.1)
    raise AttuneError(f"expected {server.name} to answer within {STARTS_WITHIN_S:.0f} s, found nothing at port {port}")


@dataclass
class Memory:
    """Resident megabytes of every process of some servers, sampled until told to stop."""

    servers: Sequence[Server]
    samples: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def watch(self, stopped: threading.Event) -> None:
        """Sample; a process that replaces another begins a line of its own."""
        began = time.monotonic()
        while not stopped.wait(SAMPLE_EVERY_S):
            for server in self.servers:
                self._sample(server, time.monotonic() - began)

    def _sample(self, server: Server, at: float) -> None:
        for child in [server.process_id, *(one.pid for one in server.children())]:
            with suppress(psutil.NoSuchProcess):
                if size := psutil.Process(child).memory_info().rss:  # one that has ended and is not buried has none
                    self.samples.setdefault(f"{server.name} [{child}]", []).append((at, size / 2**20))

    def trends(self, late_s: float) -> list[Trend]:
        """Return the trend over the last seconds of every process that runs all of them."""
        last = max((samples[-1][0] for samples in self.samples.values()), default=0.0)
        since = max(last - late_s, 0.0)
        lived = {
            name: s for name, s in self.samples.items() if s[0][0] <= since and s[-1][0] > last - 5 * SAMPLE_EVERY_S
        }
        return [_trend(name, samples, since) for name, samples in sorted(lived.items())]


@dataclass(frozen=True)
class Trend:
    """Megabytes at the first and the last sample, and the trend over the last part, megabytes a minute.

    Attributes:
        growth: What the trend comes to over the last part, megabytes.
    """

    name: str
    first: float
    last: float
    per_minute: float
    growth: float

    @property
    def is_flat(self) -> bool:
        """Whether that growth is within bounds."""
        return self.growth <= max(FLAT_MB, FLAT_SHARE * self.last)

    @property
    def complaint(self) -> str:
        """What to say where it is not."""
        return f"memory of {self.name} grows by {self.per_minute:.1f} MB a minute, to {self.last:.0f} MB"


def _trend(name: str, samples: Sequence[tuple[float, float]], since: float) -> Trend:
    at, size = np.array([sample for sample in samples if sample[0] >= since]).T
    slope = float(np.polyfit(at, size, 1)[0]) if len(at) > 1 else 0.0
    return Trend(name, samples[0][1], samples[-1][1], 60 * slope, slope * float(at[-1] - at[0]))
