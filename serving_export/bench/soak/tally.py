"""Count what a soak asked and what it was answered, and everything that may not be."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

KILL_FELT_S = 10.0
"""How long after a server was killed a connection of it may end, or who needs it be unavailable."""
UNAVAILABLE = 503
BROKEN_KEPT = 50


@dataclass
class Kind:
    """Answers of one kind of request: seconds of each, provoked refusals, connections cut by a kill, errors."""

    seconds: list[float] = field(default_factory=list)
    refusals: int = 0
    resets: int = 0
    errors: int = 0

    def quantile(self, share: float) -> float:
        """Return milliseconds; NaN without any answer."""
        return 1000 * float(np.quantile(self.seconds, share)) if self.seconds else float("nan")


@dataclass
class Tally:
    """What several threads count together.

    Attributes:
        kinds: By kind of request.
        checked: Vectors held against the home's own, by what became of them.
        broken: What may not be, one line each.
    """

    kinds: dict[str, Kind] = field(default_factory=dict)
    checked: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    _killing: int = 0
    _killed_at: float = -KILL_FELT_S
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def killing(self) -> Iterator[None]:
        """Let connections end, and servers be unavailable, while one is killed and for a moment after."""
        self._killing += 1
        try:
            yield
        finally:
            self._killed_at, self._killing = time.monotonic(), self._killing - 1

    def kind(self, name: str) -> Kind:
        """Return the counts of a kind."""
        with self._lock:
            return self.kinds.setdefault(name, Kind())

    def answered(self, name: str, seconds: float, status: int, expected: int, text: bytes) -> bool:
        """Note an answer, and return whether it was the expected one."""
        kind = self.kind(name)
        if status == UNAVAILABLE and self._is_felt():
            with self._lock:
                kind.resets += 1
            return False
        with self._lock:
            if status != expected:
                kind.errors += 1
            elif status < 400:
                kind.seconds.append(seconds)
            else:
                kind.refusals += 1
        if status != expected:
            self.fail(f"{name}: expected status {expected}, found {status}: {text[:300]!r}")
        return status == expected

    def lost(self, name: str, error: Exception) -> None:
        """Note a connection that ended without an answer."""
        kind = self.kind(name)
        is_felt = self._is_felt()
        with self._lock:
            kind.resets += is_felt
            kind.errors += not is_felt
        if not is_felt:
            self.fail(f"{name}: expected an answer, found {type(error).__name__}: {error}")

    def _is_felt(self) -> bool:
        return self._killing > 0 or time.monotonic() - self._killed_at < KILL_FELT_S

    def check(self, outcome: str, number: int = 1) -> None:
        """Count vectors that were held against the home's own."""
        with self._lock:
            self.checked[outcome] += number

    def fail(self, line: str) -> None:
        """Keep a line of what may not be, the first of them."""
        with self._lock:
            if len(self.broken) < BROKEN_KEPT:
                self.broken.append(line)

    def fail_all(self, lines: Iterable[str]) -> None:
        """Keep several lines of what may not be."""
        for line in lines:
            self.fail(line)
