"""Run the quality benchmark: every problem, every model, tables and pictures into the home."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from training.bench.quality.matching_rows import matching_rows
from training.bench.quality.peer_rows import peer_rows
from training.bench.quality.representation import seven_day_probe
from training.bench.shared import pictures
from training.bench.shared.cache import Cache, library_versions
from training.bench.shared.logs import read_public_log
from training.bench.shared.rows import Row
from training.bench.shared.side_tables import SideTables, read_side_tables, simulated_side_tables
from training.bench.shared.simulated import attainable_row, simulated_log
from training.bench.shared.splits import Protocol
from training.bench.shared.tables import quality_table, representation_table
from training.bench.shared.tasks import Problem, make_problem
from training.settings import Settings
from training.storage import replace_file, write_json

logger = logging.getLogger(__name__)


def run_quality(
    settings: Settings,
    folders: Sequence[Path],
    protocols: Sequence[Protocol],
    num_seeds: int,
    *,
    simulator: bool = True,
) -> dict[str, str]:
    """Return the Markdown of each protocol's tables, and the representation's, written to the reports folder as well.

    Args:
        settings: Results are kept under `home/bench` and written to `home/reports/bench`.
        folders: Data sets.
        protocols: Protocols to run on each of them.
        num_seeds: Seeds for each model whose fit is random, counted up from the settings' seed.
        simulator: Whether to run on simulated logs (temporal) as well.
    """
    cache = Cache(settings.home / "bench" / "results")
    seeds = tuple(settings.seed + n for n in range(num_seeds))
    parts: dict[str, list[str]] = {}
    for problem, sides, limits in _problems(settings, folders, protocols, simulator):
        started = time.perf_counter()
        ours = matching_rows(settings, problem, cache, seeds, sides=sides)
        rows = [*limits, *ours, *peer_rows(problem, cache, seeds)]
        parts.setdefault(problem.protocol, []).append(_report(settings, problem, rows))
        if problem.protocol == "temporal" and (probe := seven_day_probe(settings, problem, sides)):
            table = write_table(settings, f"{problem.data}_representation", representation_table(problem.data, probe))
            parts.setdefault("representation", []).append(table)
        logger.info("%s: done in %.0f s", problem.label, time.perf_counter() - started)
    return {protocol: "\n".join(tables) for protocol, tables in parts.items()}


def _problems(
    settings: Settings, folders: Sequence[Path], protocols: Sequence[Protocol], simulator: bool
) -> Iterator[tuple[Problem, SideTables, list[Row]]]:
    for folder in folders:
        log, sides = read_public_log(folder), read_side_tables(folder)
        yield from ((make_problem(log, protocol), sides, []) for protocol in protocols)
    if simulator:
        log, home = simulated_log(settings)
        problem = make_problem(log, "temporal")
        yield problem, simulated_side_tables(home), [attainable_row(problem, home)]


def _report(settings: Settings, problem: Problem, rows: Sequence[Row]) -> str:
    folder, stem = report_dir(settings), problem.label.replace(" ", "_")
    table = quality_table(rows, problem.test.k, library_versions())
    write_json([row.to_dict() for row in rows], folder / f"{stem}.json")
    pictures.bars(rows, problem.test.k, folder / f"{stem}.png")
    return write_table(settings, stem, table)


def write_table(settings: Settings, stem: str, table: str) -> str:
    """Write a table into the reports folder and return it; `bench readme` finds it by what follows the last "_"."""
    with replace_file(report_dir(settings) / f"{stem}.md") as temporary:
        temporary.write_text(table, encoding="utf-8")
    return table


def report_dir(settings: Settings) -> Path:
    """Return the folder of benchmark tables and pictures."""
    return settings.reports_dir / "bench"
