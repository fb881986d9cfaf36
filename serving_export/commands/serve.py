"""The command that runs the lookup server."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from training.command_line import Answer, answers
from training.settings import Settings

SHUTDOWN_S = 5
"""How long requests under way may take once the server is told to stop."""
KEEP_ALIVE_S = 30


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="address to listen on")
@click.option("--port", type=int, default=8600, show_default=True, help="port to listen on")
@answers
def serve(host: str, port: int) -> Answer:
    """Answer lookups over HTTP until stopped."""
    import uvicorn

    from serving_export.http.app import build_app

    settings = Settings.from_env()
    limits: dict[str, Any] = {"timeout_graceful_shutdown": SHUTDOWN_S, "timeout_keep_alive": KEEP_ALIVE_S}
    with _reconciling():
        uvicorn.run(build_app(settings), host=host, port=port, log_level="info", **limits)
    return Answer(values={}, text="stopped")


@contextmanager
def _reconciling() -> Iterator[None]:
    """Bring the stores in line in a process beside the lookups, which need the pointer alone; end it with them."""
    process = subprocess.Popen([sys.executable, "-m", "serving_export", "reconcile"], stdout=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn sends itself the signal again once it has ended
    try:
        yield
    finally:
        process.terminate()
        process.wait()
