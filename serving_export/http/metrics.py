"""Count what is asked and answered, for Prometheus.

Several workers each keep their counts in mapped files of one folder, named by the worker's place and not by its
process, so that a worker that takes another's place counts on where that one ended. How old what is served is gets
computed when it is asked for, so that a space that is served no more is told no more.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest, values
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from serving_export.http.served import Served
from serving_export.http.tally import Tally
from training.storage import try_lock

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_places: list[IO[bytes]] = []


class Metrics:
    """The counters of one server; every label has few values, whatever is sent."""

    def __init__(self, folder: Path | None = None) -> None:
        """Count from nothing, in a `folder` together with other workers where there are any."""
        self._folder = folder
        self._registry = CollectorRegistry()
        if folder is not None:
            _count_in(folder)
        self._requests = self._counter("requests", "Requests answered", "team", "route", "method", "status")
        self._keys = self._counter("keys", "Ids looked up or ranked for, rows of events", "team")
        self._unknown = self._counter("unknown_ids", "Ids that were not known", "team")
        self._stale = self._counter("stale_answers", "Answers from a stale snapshot", "team")
        self._opens = self._counter("snapshot_opens", "Times the pointer was followed", "outcome")
        self._seconds = Histogram(
            "attune_request_seconds", "Time to answer", ("team", "route"), registry=self._registry, buckets=SECONDS
        )

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"attune_{name}", what, labels, registry=self._registry)

    def answered(self, tally: Tally, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        known = method if method in METHODS else "other"
        self._requests.labels(tally.team, route, known, str(status)).inc()
        self._seconds.labels(tally.team, route).observe(seconds)
        if tally.keys:
            self._keys.labels(tally.team).inc(tally.keys)
        if tally.unknown:
            self._unknown.labels(tally.team).inc(tally.unknown)
        if tally.about and tally.about.stale:
            self._stale.labels(tally.team).inc()

    def opened(self, outcome: str) -> None:
        """Count that the pointer was followed, "opened" or "failed"."""
        self._opens.labels(outcome).inc()

    def text(self, served: Served) -> bytes:
        """Return the counts of all workers, and how old what is served is, in Prometheus' text format."""
        registry = CollectorRegistry()
        registry.register(_Ages(served))
        if self._folder is None:
            return generate_latest(self._registry) + generate_latest(registry)
        MultiProcessCollector(registry, str(self._folder))  # type: ignore[no-untyped-call]
        return generate_latest(registry)


class _Ages(Collector):
    def __init__(self, served: Served) -> None:
        self._served = served

    def collect(self) -> Iterable[GaugeMetricFamily]:
        ages = GaugeMetricFamily("attune_served_age_seconds", "Age of what is served", labels=("space", "partition"))
        stale = GaugeMetricFamily("attune_served_stale", "Whether it is stale", labels=("space", "partition"))
        for about in self._served.in_force():
            names = [about.space_id, about.partition]
            ages.add_metric(names, about.age.total_seconds())
            stale.add_metric(names, float(about.stale))
        return [ages, stale]


def add_metrics(app: FastAPI, metrics: Metrics, served: Served) -> None:
    """Add `/metrics`."""

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def read_metrics() -> Response:
        """Return counts and ages in Prometheus' text format."""
        return Response(metrics.text(served), headers={"content-type": CONTENT_TYPE_LATEST})


def _count_in(folder: Path) -> None:
    """Let this process keep its counts in mapped files of a folder, in the first place that no live process has."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)  # where the library looks for it
    place = _take_place(folder)
    values.ValueClass = values.MultiProcessValue(lambda: place)  # type: ignore[no-untyped-call]


def _take_place(folder: Path) -> int:
    place = 0
    while True:
        file = (folder / f"{place}.place").open("wb")
        if try_lock(file):
            _places.append(file)  # held open, and so locked, as long as the process lives
            return place
        file.close()
        place += 1
