"""Draw a run's curves and comparisons as PNG pictures, without a display and the same bytes each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def draw_curves(curves: Mapping[str, Sequence[float]], title: str, path: Path) -> None:
    """Write one line per curve over epochs."""
    figure, axes = _figure(title)
    for name, values in sorted(curves.items()):
        axes.plot(range(len(values)), values, label=name)
    axes.set_xlabel("epoch")
    axes.grid(alpha=0.3)
    if curves:
        axes.legend()
    _save(figure, path)


def draw_bars(values: Mapping[str, float], intervals: Mapping[str, Sequence[float]], title: str, path: Path) -> None:
    """Write one bar per name, with its interval (low, high) where one is given."""
    figure, axes = _figure(title)
    names = sorted(values, key=lambda name: values[name])
    axes.barh(names, [values[name] for name in names], color="#4c78a8")
    for row, name in enumerate(names):
        if name in intervals:
            axes.plot(list(intervals[name]), [row, row], color="black", linewidth=2)
    _save(figure, path)


def _figure(title: str):  # type: ignore[no-untyped-def]
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    return figure, axes


def _save(figure, path: Path) -> None:  # type: ignore[no-untyped-def]
    figure.savefig(path, format="png", dpi=110, metadata={"Software": None})
