"""A worker's metrics are read over HTTP."""

from __future__ import annotations

import socket
import urllib.request

from serving_export.stream.metrics import StreamMetrics


def test_metrics_are_answered() -> None:
    metrics = StreamMetrics()
    metrics.entries.labels("taken").inc(3)
    metrics.visible.observe(0.004)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    metrics.serve(port)
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    assert 'attune_stream_entries_total{outcome="taken"} 3.0' in text
    assert 'attune_stream_visible_seconds_bucket{le="0.005"} 1.0' in text
    StreamMetrics()  # a second one in the process does not clash
