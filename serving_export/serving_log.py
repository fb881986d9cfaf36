"""Keep a sample of what lookups answered, where it is asked for, so that `parity` can hold it against the raw logs.

Off unless `ATTUNE_SERVING_LOG_SHARE` says which share of the answered users to keep; a process keeps at most
`LINES_A_DAY` of a day. A log that cannot be written costs no answer.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from serving_export.lookup import Embeddings
from training.arrays import Floats
from training.contracts.partitions import Partition
from training.settings import Settings

logger = logging.getLogger(__name__)
LINES_A_DAY = 10_000


@dataclass(frozen=True)
class Answered:
    """One user's vector, float32 [Z], as it was answered."""

    user_id: str
    space_id: str
    partition: str
    vector: Floats


class ServingLog:
    """Append what was answered to `serving_log/dt=<UTC day>/<process>.jsonl`."""

    def __init__(self, settings: Settings) -> None:
        """Keep the share that the settings name; nothing is opened before something is kept."""
        self._folder, self._share = log_dir(settings), settings.serving_log_share
        self._lock = threading.Lock()
        self._day, self._lines = "", 0

    def record(self, found: Embeddings) -> None:
        """Keep a sample of an answer; left out are vectors that the snapshot does not hold as they are.

        Those are of users without history (imagined), of users with newer events, and turned into a frame.
        """
        if not self._share or found.frame:
            return
        kept = [row for row in range(len(found.user_ids)) if random.random() < self._share]
        left_out = {*found.virtual, *found.fresh} if kept else set()
        lines = [_line(found, row) for row in kept if found.user_ids[row] not in left_out]
        if lines:
            with self._lock:
                self._append(lines)

    def _append(self, lines: list[str]) -> None:
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        if today != self._day:
            self._day, self._lines = today, 0
        room = LINES_A_DAY - self._lines
        self._lines += len(lines[:room])
        if room <= 0:
            return
        try:
            path = self._folder / f"dt={today}" / f"{os.getpid()}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.writelines(lines[:room])
        except OSError as error:
            logger.warning("an answer was not kept for the parity check: %s", error)


def log_dir(settings: Settings) -> Path:
    """Return the folder of what was kept, by the UTC day on which it was answered."""
    return settings.home / "serving_log"


def read_answers(settings: Settings, day: Partition) -> Iterator[Answered]:
    """Yield what was kept of a day; a line that a killed process left half is passed over."""
    for path in sorted((log_dir(settings) / f"dt={day}").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                values = json.loads(line)
            except ValueError:
                continue
            vector = np.frombuffer(base64.b64decode(values.pop("vector")), dtype="<f4")
            yield Answered(**values, vector=vector)


def _line(found: Embeddings, row: int) -> str:
    vector = base64.b64encode(np.asarray(found.vectors[row], dtype="<f4").tobytes()).decode()
    about = {"user_id": found.user_ids[row], "space_id": found.space_id, "partition": found.partition}
    return json.dumps({**about, "vector": vector}) + "\n"
