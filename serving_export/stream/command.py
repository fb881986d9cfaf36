"""Run a worker until it is told to stop."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Sequence

from serving_export.stream.metrics import StreamMetrics
from serving_export.stream.online import OnlineRows
from serving_export.stream.redis_streams import RedisSource, connect
from serving_export.stream.worker import Worker
from training.contracts.errors import AttuneError
from training.settings import Settings

_COLLECT = (100_000, 20, 50)
"""Allocations between the garbage collector's passes: the usual 700 would each time walk the users who are held."""


def follow(settings: Settings, parts: Sequence[int] | None = None, host: str = "127.0.0.1", port: int = 0) -> int:
    """Follow the stream until SIGTERM or SIGINT, and return the number of entries that were taken in.

    Args:
        settings: Names the stream, and where state lives.
        parts: The parts of the users to follow; None follows all.
        host: Address of the metrics.
        port: Port of the metrics; 0 answers none.

    Raises:
        AttuneError: No stream is set, there is no such part, or another worker follows it.
    """
    chosen = list(range(settings.stream_partitions)) if parts is None else sorted(set(parts))
    if not chosen or not set(chosen) <= set(range(settings.stream_partitions)):
        raise AttuneError(
            f"expected parts from 0 up to {settings.stream_partitions - 1} (ATTUNE_STREAM_PARTITIONS), found {chosen}"
        )
    stopped, metrics = threading.Event(), StreamMetrics()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    source = RedisSource(connect(settings), chosen)
    online = OnlineRows(settings, metrics)
    try:
        worker = Worker(settings, source, chosen, metrics, online)
        if port:
            metrics.serve(port, host)
        gc.freeze()
        gc.set_threshold(*_COLLECT)
        try:
            return worker.run(stopped)
        finally:
            worker.close()
    finally:
        online.close()
