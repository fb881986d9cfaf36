"""What a worker tells Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server


class StreamMetrics:
    """Counters of one worker process, in a registry of their own."""

    def __init__(self) -> None:
        """Begin at zero."""
        own = self.registry = CollectorRegistry()
        self.entries = Counter(
            "attune_stream_entries", "Entries by what became of them: taken, repeated, in_batch, dead", ["outcome"],
            registry=own,
        )  # fmt: skip
        self.dead = Counter("attune_stream_dead_letters", "Entries that break the contract", ["reason"], registry=own)
        self.visible = Histogram(
            "attune_stream_visible_seconds", "From appended to readable and durable", registry=own,
            buckets=(0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60, 600),
        )  # fmt: skip
        self.lag = Gauge("attune_stream_lag_entries", "Entries that are not taken in yet", ["part"], registry=own)
        self.age = Gauge("attune_stream_age_seconds", "Age of the entry taken in last", ["part"], registry=own)
        self.rows = Gauge("attune_stream_overlay_users", "Users read over a snapshot", ["part", "space"], registry=own)
        self.parity = Histogram(
            "attune_stream_parity_distance", "Relative distance of overlay vectors from the batch's", registry=own,
            buckets=(1e-6, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 1.0),
        )  # fmt: skip
        self.online_failures = Counter("attune_stream_online_failures", "Failed writes to Feast online", registry=own)

    def serve(self, port: int, host: str = "127.0.0.1") -> None:
        """Answer `GET /metrics` in a thread of its own."""
        start_http_server(port, host, registry=self.registry)
