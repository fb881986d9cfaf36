"""Start a server in a process of its own, wait until it answers, and end it with its children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import psutil

from serving_export.bench.http_server import KEPT_OPEN_S
from training.contracts.errors import AttuneError

HOST = "127.0.0.1"
STARTS_WITHIN_S = 120.0


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    port: int
    process_id: int

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process and its children so far."""
        process = psutil.Process(self.process_id)
        times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
        return float(sum(one.user + one.system for one in times))


@contextmanager
def lookup_server(home: Path) -> Iterator[Running]:
    """Serve a home's published vectors."""
    environment = {"ATTUNE_HOME": str(home), "OMP_NUM_THREADS": "1"}
    with _server(["serving_export.bench.http_server"], environment, "/readyz") as running:
        yield running


@contextmanager
def feast_server(folder: Path) -> Iterator[Running]:
    """Run `feast serve` over a feature repository."""
    command = [
        "feast.cli.cli",
        "--chdir",
        str(folder),
        "serve",
        "--no-access-log",
        "--keep-alive-timeout",
        str(KEPT_OPEN_S),
    ]
    with _server(command, {"FEAST_USAGE": "False", "HOME": str(folder)}, "/health") as running:
        yield running


@contextmanager
def _server(module: list[str], environment: Mapping[str, str], path: str) -> Iterator[Running]:
    port = free_port()
    command = [sys.executable, "-m", *module, "--host", HOST, "--port", str(port)]
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(process, port, path)
        yield Running(port, process.pid)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, path: str) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        if answers(port, path):
            return
        time.sleep(0.1)
    raise AttuneError(
        f"expected a server that answers {path} within {STARTS_WITHIN_S:.0f} s, found {process.args!r} not"
    )


def free_port() -> int:
    """Return a port of the loopback that nothing listens on."""
    with socket.create_server((HOST, 0)) as free:
        return int(free.getsockname()[1])


def answers(port: int, path: str = "") -> bool:
    """Return whether a port of the loopback is listened on or, with a path, whether that is answered with 200."""
    if not path:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, port)) == 0
    connection = HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
