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
        target: What ours is to reach at least, or, where lower is better, at most; None where nothing is asked.
        times: How many times as good as an incumbent ours is to be.
    """

    what: str
    unit: str
    ours: float
    incumbents: Mapping[str, float] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    target: float | None = None
    times: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_higher_better(self) -> bool:
        """Whether the unit is a rate."""
        return self.unit.endswith("/s")

    def targets(self) -> dict[str, bool]:
        """Return what is asked of the line, and whether it is met."""
        sign = "≥" if self.is_higher_better else "≤"
        found = {
            f"≥ {least:g} × {name}": self.times_better_than(self.incumbents[name]) >= least
            for name, least in self.times.items()
        }
        if self.target is None:
            return found
        return {f"{sign} {_figure(self.target)}": self.times_better_than(self.target) >= 1, **found}

    def times_better_than(self, other: float) -> float:
        """Return how many times better ours is than another figure; below 1 it is worse."""
        return self.ours / other if self.is_higher_better else other / self.ours


def seconds_each(calls: Mapping[str, Callable[[], object]], repeats: int = 5) -> dict[str, float]:
    """Return the median seconds of each call, taken in turns so that a busy machine disturbs all alike.

    The first call of each is not counted.
    """
    return {name: statistics.median(values) for name, values in samples_each(calls, repeats).items()}


def samples_each(calls: Mapping[str, Callable[[], object]], repeats: int, in_a_row: int = 1) -> dict[str, list[float]]:
    """Return the seconds of every counted call of each, in turns; the first call of each is not counted.

    Args:
        calls: What to time.
        repeats: Turns that are counted.
        in_a_row: Calls in each turn; of several, the first is not counted: it pays for what its neighbour, which may be
            a hundred times as long, has left in the caches and has used up of this process's time.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            seconds = [_seconds(call) for _ in range(in_a_row)]
            taken[name] += seconds[in_a_row > 1 :] if turn else []
    return taken


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def speed_table(timings: Sequence[Timing], versions: Mapping[str, str]) -> str:
    """Return the Markdown of timings: ours, what was asked of it, and each incumbent and limit with how many times ours
    is as good.
    """
    lines = ["| what | unit | ours | target | incumbent | limit |", "| --- " * 6 + "|"]
    for one in timings:
        others = _others(one, one.incumbents), _others(one, one.limits)
        lines.append("| " + " | ".join([one.what, one.unit, _figure(one.ours), _asked(one), *others]) + " |")
    stated = ", ".join(f"{name} {number}" for name, number in versions.items())
    head = f"Medians on this machine; in brackets how many times ours is as good ({stated})"
    asked = [is_met for one in timings for is_met in one.targets().values()]
    sums = [f"{sum(asked)} of {len(asked)} targets are met.", ""] if asked else []
    return "\n".join([head, "", *lines, "", *sums])


def _asked(timing: Timing) -> str:
    return (
        "; ".join(f"{what}: {'met' if is_met else '**not met**'}" for what, is_met in timing.targets().items()) or "–"
    )


def _others(timing: Timing, others: Mapping[str, float]) -> str:
    return "; ".join(f"{name} {_figure(v)} (× {timing.times_better_than(v):.2g})" for name, v in others.items()) or "–"


def _figure(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:,.1f} k"
    return f"{value:.3g}"
