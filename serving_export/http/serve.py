"""Run the lookup server until it is told to stop, in one process or in several that share the mapped pages."""

from __future__ import annotations

import gc
import logging
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from uvicorn import Config, Server
from uvicorn.supervisors import Multiprocess

from serving_export.access.book import read_book
from serving_export.access.limits import IN_MEMORY
from serving_export.http.app import build_app
from serving_export.http.door import Door
from serving_export.http.guard import is_loopback
from serving_export.http.protocol import BoundedProtocol
from training.contracts.errors import AttuneError
from training.library_logs import start_logging
from training.settings import Settings

logger = logging.getLogger(__name__)

SHUTDOWN_S = 6
"""How long requests under way may take once the server is told to stop; a body may take 5."""
KILLED_AFTER_S = 8.0
KEEP_ALIVE_S = 30
WORKER_SILENT_S = 60.0
"""After which a worker is taken to hang and is replaced: one that starts is silent, on a busy machine for long."""
PING_S = 0.5
MAX_CONNECTIONS = 1000
"""Per worker; above it requests are answered 503."""


def serve(settings: Settings, host: str, port: int, num_workers: int = 1) -> None:
    """Answer lookups until SIGTERM or SIGINT, then finish what is under way and end within ten seconds.

    Raises:
        AttuneError: There are no keys for an address that others reach, or several workers cannot count together.
    """
    keyed = require_keys(settings, host, num_workers)
    with _reconciling(), tempfile.TemporaryDirectory(prefix="attune-counts-") as counts:
        several: dict[str, Any] = {"num_workers": num_workers, "counts_dir": Path(counts)} if num_workers > 1 else {}
        config = configured(partial(started, settings, keyed=keyed, **several), host, port, num_workers)
        if num_workers > 1:
            Workers(config, [config.bind_socket()]).run()
        else:
            Server(config).run()


def require_keys(settings: Settings, host: str, num_workers: int = 1) -> bool:
    """Return whether tokens are needed, and say so.

    Raises:
        AttuneError: There are no keys where there should be, or none that can be read, or several workers cannot count
            together.
    """
    path = settings.access_path
    door = Door(settings)
    if door.is_keyed:
        read_book(path)
    if not door.is_keyed and not is_loopback(host):
        raise AttuneError(
            f"expected keys at {path} for a server at {host}, which other machines reach, found none; make them with "
            "`tokens rotate`, or serve at 127.0.0.1"
        )
    if door.is_keyed and num_workers > 1 and settings.limits_store == IN_MEMORY:
        raise AttuneError(
            f"expected a store in which {num_workers} workers count together, found {IN_MEMORY}; set "
            "ATTUNE_LIMITS_STORE to redis://host:port/db"
        )
    if door.is_keyed:
        logger.info("tokens are needed; keys are at %s", path)
    else:
        logger.warning("open to every process of this machine, without tokens or limits: there are no keys at %s", path)
    return door.is_keyed


class Workers(Multiprocess):  # type: ignore[misc]
    """uvicorn's workers, of which one may take its time to start, and one that does not end in time is killed."""

    _silent_since: float | None = None

    def keep_subprocess_alive(self) -> None:
        """Replace workers that have ended or hang; never wait long for one, as a signal is only seen between."""
        silent = any(w.process.is_alive() and not w.is_ready(PING_S) for w in self.processes)
        if not silent:
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = time.monotonic()
        if self._silent_since is None or time.monotonic() - self._silent_since > WORKER_SILENT_S:
            super().keep_subprocess_alive()

    def join_all(self) -> None:
        """Wait for every worker."""
        deadline = time.monotonic() + KILLED_AFTER_S
        for worker in self.processes:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.exitcode is None:
                logger.error("a worker did not end within %g s and is killed", KILLED_AFTER_S)
                worker.process.kill()
                worker.process.join()


def started(settings: Settings, **options: Any) -> Any:
    """Return the app, in a process of its own or in this one.

    Whatever is there by then is left out of garbage collections: a full one would hold up requests for 50 ms.
    """
    start_logging()
    app = build_app(settings, **options)
    gc.collect()
    gc.freeze()
    return app


def configured(app: Any, host: str, port: int, num_workers: int = 1) -> Config:
    """Return how uvicorn runs a factory of the app."""
    return Config(
        app,
        factory=True,
        host=host,
        port=port,
        workers=num_workers,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        access_log=False,  # it would hold ids; `accounting` writes the lines
        log_config=None,
        log_level="info",
        proxy_headers=False,  # nothing here depends on an address that a header may claim
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=SHUTDOWN_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )


@contextmanager
def _reconciling() -> Iterator[None]:
    """Bring the stores in line in a process beside the lookups, which need the pointer alone; end it with them."""
    process = subprocess.Popen([sys.executable, "-m", "serving_export", "reconcile"], stdout=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, _exit)  # uvicorn sends itself the signal again once it has ended
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _exit(_: int, __: FrameType | None) -> None:
    sys.exit(0)
