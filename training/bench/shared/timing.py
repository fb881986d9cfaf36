"""Time one thing beside an incumbent and beside the limit, in the same run: on a shared machine only ratios count."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from training.contracts.artefacts import Artefact


@dataclass(frozen=True, kw_only=True)
class Timing(Artefact):
    """One line of the speed table.

    Attributes:
        what: What was measured, with its size.
        unit: Unit of every number of the line; one that ends in "/s" is better when higher.
        ours: This project's figure.
        incumbents: The usual ways of doing the same.
        limits: What the machine could do at best.
    """

    what: str
    unit: str
    ours: float
    incumbents: Mapping[str, float] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)

    def times_better_than(self, other: float) -> float:
        """Return how many times better ours is than another figure; below 1 it is worse."""
        return self.ours / other if self.unit.endswith("/s") else other / self.ours


def seconds_each(calls: Mapping[str, Callable[[], object]], repeats: int = 5) -> dict[str, float]:
    """Return the median seconds of each call, taken in turns so that a busy machine disturbs all alike.

    The first call of each is not counted.
    """
    return {name: statistics.median(values) for name, values in samples_each(calls, repeats).items()}


def samples_each(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Return the seconds of every call of each, in turns; the first call of each is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if turn:
                taken[name].append(time.perf_counter() - started)
    return taken


def speed_table(timings: Sequence[Timing], versions: Mapping[str, str]) -> str:
    """Return the Markdown of timings: ours, and each incumbent and limit with how many times ours is as good."""
    lines = ["| what | unit | ours | incumbent | limit |", "| --- | --- | --- | --- | --- |"]
    for one in timings:
        cells = [one.what, one.unit, _figure(one.ours), _others(one, one.incumbents), _others(one, one.limits)]
        lines.append("| " + " | ".join(cells) + " |")
    stated = ", ".join(f"{name} {number}" for name, number in versions.items())
    head = f"Medians on this machine; in brackets how many times ours is as good ({stated})"
    return "\n".join([head, "", *lines, ""])


def _others(timing: Timing, others: Mapping[str, float]) -> str:
    return "; ".join(f"{name} {_figure(v)} (× {timing.times_better_than(v):.2g})" for name, v in others.items()) or "–"


def _figure(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:,.1f} k"
    return f"{value:.3g}"
