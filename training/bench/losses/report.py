"""Report the comparison of losses: a table over both tasks, one model against two, and the picture of loss by task."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import numpy as np

from training.bench.losses.rows import FOR_ITEMS, FOR_USERS, LossStudy, loss_rows
from training.bench.quality.report import report_dir, write_table
from training.bench.shared import pictures
from training.bench.shared.cache import Cache, library_versions
from training.bench.shared.logs import PublicLog
from training.bench.shared.rows import Row
from training.bench.shared.tasks import make_problem
from training.losses.family import PAIR_LOSSES
from training.settings import Settings
from training.storage import write_json

logger = logging.getLogger(__name__)
SPECIALISED = (FOR_ITEMS, FOR_USERS)
JOINT = "bbcnce"


def run_losses(
    settings: Settings,
    logs: Sequence[PublicLog],
    num_seeds: int,
    study: LossStudy | None = None,
    losses: Sequence[str] = tuple(PAIR_LOSSES),
) -> dict[str, str]:
    """Return the Markdown of each data set's tables by data set, written to the reports folder as well.

    Args:
        settings: Results are kept under `home/bench` and written to `home/reports/bench`.
        logs: Data sets; each is split by time.
        num_seeds: Seeds of each loss, counted up from the settings' seed.
        study: What the losses share.
        losses: Losses to compare.
    """
    cache = Cache(settings.home / "bench" / "results")
    seeds = tuple(settings.seed + n for n in range(num_seeds))
    tables = {}
    for log in logs:
        started = time.perf_counter()
        problem = make_problem(log, "temporal")
        rows = loss_rows(problem, cache, seeds, study, losses)
        tables[problem.data] = _report(settings, rows, problem.test.k)
        logger.info("%s: losses compared in %.0f s", problem.data, time.perf_counter() - started)
    return tables


def _report(settings: Settings, rows: Sequence[Row], k: int) -> str:
    folder, stem = report_dir(settings), f"{rows[0].data}_losses"
    table = write_table(settings, stem, loss_table(rows, k))
    write_json([row.to_dict() for row in rows], folder / f"{stem}.json")
    values = {row.model: {name: value for name, value, _ in _figures(row, k)} for row in _compared_rows(rows)}
    pictures.heatmap(values, f"{rows[0].data}: losses by task", folder / f"{stem}.png")
    return table


def loss_table(rows: Sequence[Row], k: int) -> str:
    """Return the Markdown: NDCG of recommendation, of targeting and their mean, ± half a 95 % interval over seeds.

    Below it, where the losses for it were run, one model for both tasks beside a specialised one for each.
    """
    stated = ", ".join(f"{name} {number}" for name, number in library_versions().items())
    seeds = len(rows[0].seeds)
    lines = [
        f"**{rows[0].data}**, temporal, {seeds} seeds, ± 95 % over seeds, "
        f"standard error over test users {rows[0].metrics['se_ndcg']:.4f}; {stated}",
        "",
        f"| loss | N@{k} | T-N@{k} | mean | tau | epochs | fit s | chosen in s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    compared = _compared_rows(rows)
    best = {name: max(value for row in compared for n, value, _ in _figures(row, k) if n == name) for name in _HEADINGS}
    for row in sorted(compared, key=lambda one: -one.metrics["mean_ndcg"]):
        cells = [_cell(value, error, best[name]) for name, value, error in _figures(row, k)]
        facts = [f"{row.params['tau']:g}", str(row.params["num_epochs"])]
        cost = [f"{row.fit_seconds:.1f}", f"{row.tune_seconds:.0f}"]
        lines.append("| " + " | ".join([row.model, *cells, *facts, *cost]) + " |")
    return "\n".join([*lines, "", *_one_against_two(rows, k)])


def _compared_rows(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that were chosen for both tasks."""
    return [row for row in rows if row.model not in SPECIALISED]


_HEADINGS = ("recommendation", "targeting", "mean")


def _figures(row: Row, k: int) -> list[tuple[str, float, float]]:
    """Return heading, value and half of the 95 % interval over seeds."""
    metrics = (f"ndcg@{k}", f"target_ndcg@{k}", "mean_ndcg")
    scale = _student(len(row.seeds)) / np.sqrt(max(len(row.seeds), 1))
    return [
        (name, row.metrics[metric], scale * row.seed_spread[metric])
        for name, metric in zip(_HEADINGS, metrics, strict=True)
    ]


def _student(num_seeds: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.975, num_seeds - 1)) if num_seeds > 1 else 0.0


def _cell(value: float, error: float, best: float) -> str:
    text = f"{value:.4f} ± {error:.4f}"
    return f"**{text}**" if value == best else text


def _one_against_two(rows: Sequence[Row], k: int) -> list[str]:
    by_name = {row.model: row for row in rows}
    if not {JOINT, *SPECIALISED} <= set(by_name):
        return []
    one, items, users = (by_name[name] for name in (JOINT, *SPECIALISED))
    two_seconds = [sum(getattr(row, name) for row in (items, users)) for name in ("fit_seconds", "tune_seconds")]
    return [
        f"| {one.data} | N@{k} | T-N@{k} | fit s | chosen in s |",
        "| --- | --- | --- | --- | --- |",
        _compared("one model for both tasks", one, one, [one.fit_seconds, one.tune_seconds], k),
        _compared("a specialised model for each", items, users, two_seconds, k),
        f"| cost of one over two | | | {one.fit_seconds / max(two_seconds[0], 1e-9):.2f} | "
        f"{one.tune_seconds / max(two_seconds[1], 1e-9):.2f} |",
        "",
    ]


def _compared(label: str, items: Row, users: Row, seconds: Sequence[float], k: int) -> str:
    figures = [_figures(items, k)[0], _figures(users, k)[1]]
    cells = [f"{value:.4f} ± {error:.4f}" for _, value, error in figures]
    return "| " + " | ".join([label, *cells, *(f"{one:.1f}" for one in seconds)]) + " |"
