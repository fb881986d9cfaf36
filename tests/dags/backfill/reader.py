"""Read on over HTTP, whatever happens behind it: everyone's vectors in batches, rankings of some users and items."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from tests.dags.backfill.judge import Judge, Told
from tests.dags.backfill.marks import Marks
from tests.dags.backfill.published import Published
from training.settings import Settings
from training.storage import write_json

BATCH = 100
PAUSE_S = 0.4
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Readings:
    """What is read, from where, and where the report goes.

    Attributes:
        home: The home whose published folder answers are held against.
        port: Of the lookup server.
        users: External ids of everyone in the logs, known yet or not.
        items: Items to rank users for.
        frame: The frame that is read beside the live space.
        marks: File of what the operator has done.
        report: File for the report, written anew after each round.
    """

    home: Path
    port: int
    users: tuple[str, ...]
    items: tuple[str, ...]
    frame: str
    marks: Path
    report: Path


def read_on(readings: Readings, stop: Event) -> None:
    """Ask in rounds until told to stop; the report of every round so far is on disk."""
    judge = Judge(Published(Settings.from_env({"ATTUNE_HOME": str(readings.home)})))
    for number in count():
        judge.published.collect()
        told = list(_round(readings, judge, number))
        judge.published.collect()
        for one in told:
            judge.take(one)
        judge.counts["rounds"] += 1
        write_json(judge.report(), readings.report)
        if stop.wait(PAUSE_S):
            return


def _round(readings: Readings, judge: Judge, number: int) -> Iterator[Told]:
    """Yield one answer after the other: everyone's vectors, from the live space, the frame and the pin in turns."""
    connection = http.client.HTTPConnection("127.0.0.1", readings.port, timeout=TIMEOUT_S)
    marks = Marks.read(readings.marks)
    pins = [{}, {"frame": readings.frame}, *([{"space": marks.pinned}] if marks.pinned else [])]
    pin: dict[str, str] = pins[number % len(pins)]
    for start in range(0, len(readings.users), BATCH):
        batch = readings.users[start : start + BATCH]
        body = {"user_ids": batch, "on_unknown": "ignore", **pin}
        yield _asked(readings, connection, "lookup", batch, "/embeddings", body, **pin)
    known = sorted(judge.known)
    chosen = [known[number % len(known)]] if known else []
    for user in [*chosen, *filter(None, [marks.erasing])]:
        yield _asked(readings, connection, "recommend", (user,), f"/recommend/{quote(user)}")
        one = {"user_ids": [user], "on_unknown": "raise"}
        yield _asked(readings, connection, "lookup", (user,), "/embeddings", one)
    item = readings.items[number % len(readings.items)]
    yield _asked(readings, connection, "target", (item,), f"/target/{quote(item)}?k=50")
    connection.close()


def _asked(
    readings: Readings,
    connection: http.client.HTTPConnection,
    kind: str,
    asked: tuple[str, ...],
    path: str,
    body: dict[str, Any] | None = None,
    *,
    space: str = "",
    frame: str = "",
) -> Told:
    """Return what was answered, between the marks of before and after."""
    before = Marks.read(readings.marks)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        status, found = answer.status, orjson.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        connection.close()
        status, found = 0, {"error": f"{type(error).__name__}: {error}"}
    return Told(kind, asked, status, found, before, Marks.read(readings.marks), space, frame)
