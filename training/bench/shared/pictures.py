"""Draw result tables: bars with intervals, loss by task, curves. Files only; no window is opened."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.bench.shared.rows import Row
from training.bench.shared.tables import columns_of
from training.storage import replace_file

_COLOURS = {"ours": "#c2410c", "peer": "#94a3b8", "limit": "#e2e8f0"}


def bars(rows: Sequence[Row], k: int, path: Path) -> None:
    """Draw one panel per column of the table, a bar per model, with standard errors over keys and seeds."""
    columns = columns_of(rows[0].protocol, k)
    figure, axes = _panels(len(columns), height=0.34 * len(rows) + 1.2)
    for axis, (heading, metric) in zip(axes, columns.items(), strict=True):
        known = [row for row in rows if metric in row.metrics]
        ordered = sorted(known, key=lambda row, name=metric: row.metrics[name])  # type: ignore[misc]
        values = [row.metrics[metric] for row in ordered]
        colours = [_COLOURS[row.family] for row in ordered]
        axis.barh([row.model for row in ordered], values, xerr=_errors(ordered, metric), color=colours, capsize=2)
        axis.set_title(heading, fontsize=10)
        axis.tick_params(labelsize=8)
    figure.suptitle(f"{rows[0].data}, {rows[0].protocol}", fontsize=11)
    _save(figure, path)


def _errors(rows: Sequence[Row], metric: str) -> list[float]:
    """Join the standard error over keys with that over seeds."""
    over_keys = re.sub(r"(recall|ndcg|hr)@\d+", r"se_\1", metric)
    return [float(np.hypot(row.metrics[over_keys], row.seed_spread[metric] / np.sqrt(len(row.seeds)))) for row in rows]


def heatmap(values: Mapping[str, Mapping[str, float]], title: str, path: Path) -> None:
    """Draw values[row][column] as a table coloured within each column, since columns have different scales."""
    names, columns = list(values), list(next(iter(values.values())))
    table = np.array([[values[name][column] for column in columns] for name in names])
    spread = np.ptp(table, axis=0)
    shade = (table - table.min(axis=0)) / np.where(spread > 0, spread, 1)
    figure, (axis,) = _panels(1, width=1.5 * len(columns) + 2.5, height=0.4 * len(names) + 1.2)
    axis.imshow(shade, cmap="YlOrBr", aspect="auto", vmin=0, vmax=1.4)
    axis.set_xticks(range(len(columns)), columns, fontsize=8)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    for (row, column), value in np.ndenumerate(table):
        axis.text(column, row, f"{value:.4f}", ha="center", va="center", fontsize=8)
    axis.set_title(title, fontsize=10)
    _save(figure, path)


def curves(series: Mapping[str, Sequence[float]], title: str, horizontal: str, path: Path) -> None:
    """Draw one line per series against its step, 1-based."""
    figure, (axis,) = _panels(1, width=6, height=3.6)
    for name, values in series.items():
        axis.plot(range(1, len(values) + 1), values, label=name, linewidth=1.4)
    axis.set_xlabel(horizontal, fontsize=9)
    axis.set_title(title, fontsize=10)
    axis.legend(fontsize=8)
    _save(figure, path)


def _panels(number: int, *, height: float, width: float | None = None) -> tuple[Any, Sequence[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width or 3.6 * number, height), layout="constrained")
    axes = [figure.add_subplot(1, number, n + 1) for n in range(number)]
    return figure, axes


def _save(figure: Any, path: Path) -> None:
    with replace_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
