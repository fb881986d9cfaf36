"""Run the multi-interest study and write its tables: every claim as a row that differs in one thing."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from training.bench.multi_interest.problems import InterestProblem, comirec_problem, profile_of, temporal_problem
from training.bench.multi_interest.rows import CUTS, InterestRow, StudyConfig, interest_rows, of_several
from training.bench.multi_interest.variants import FULL
from training.bench.quality.report import report_dir, write_table
from training.bench.shared.cache import Cache
from training.bench.shared.logs import read_public_log
from training.bench.shared.rows import paired_error
from training.bench.shared.side_tables import read_side_tables, simulated_side_tables
from training.bench.shared.simulated import simulated_log
from training.evaluation.gate import bootstrap_interval
from training.settings import Settings
from training.storage import write_json

logger = logging.getLogger(__name__)
WORKERS = 2
_LABELS = {"recall": "R", "ndcg": "N", "hr": "HR"}


def run_multi_interest(settings: Settings, folders: Sequence[Path], num_seeds: int) -> dict[str, str]:
    """Return the Markdown of each problem by its label, written to the reports folder as well.

    Args:
        settings: Results are kept under `home/bench` and written to `home/reports/bench`.
        folders: Public logs; simulated ones are always among the problems.
        num_seeds: Seeds of each variant, counted up from the settings' seed.
    """
    cache = Cache(settings.home / "bench" / "results")
    study = StudyConfig(seeds=tuple(settings.seed + n for n in range(num_seeds)))
    tables = {}
    for problem in _problems(settings, folders, study.most_pairs):
        started = time.perf_counter()
        rows = interest_rows(problem, cache, study, workers=WORKERS)
        tables[problem.label] = _report(settings, problem, rows, study)
        logger.info("%s: done in %.0f s", problem.label, time.perf_counter() - started)
    return tables


def _problems(settings: Settings, folders: Sequence[Path], most_pairs: int) -> Iterator[InterestProblem]:
    log, home = simulated_log(settings)
    yield temporal_problem(log, profile_of(simulated_side_tables(home).items), home)
    for folder in folders:
        yield from public_problems(folder, settings.seed, most_pairs)


def public_problems(folder: Path, seed: int, most_pairs: int) -> Iterator[InterestProblem]:
    """Yield a folder's logs under both protocols, or of more than `most_pairs` pairs under that of time alone."""
    public, profile = read_public_log(folder), profile_of(read_side_tables(folder).items)
    if len(public.frame) <= most_pairs:
        yield comirec_problem(public, profile, seed)
    yield temporal_problem(public, profile)


def _report(settings: Settings, problem: InterestProblem, rows: Sequence[InterestRow], study: StudyConfig) -> str:
    folder, stem = report_dir(settings), f"{problem.data}_{problem.protocol}_multi-interest"
    table = write_table(settings, stem, interest_table(problem.data, problem.protocol, rows, study, settings.seed))
    write_json([row.to_dict() for row in rows], folder / f"{stem}.json")
    return table


def interest_table(data: str, protocol: str, rows: Sequence[InterestRow], study: StudyConfig, seed: int) -> str:
    """Return the Markdown of one problem: the full model first, the others with what they lose in NDCG@20.

    The 95 % interval is a bootstrap over users of the difference to the full model, each user averaged over seeds;
    beside it stands the standard error over seeds, of which users say nothing.
    """
    full = next(row for row in rows if row.variant == FULL)
    names = [f"{metric}@{k}" for k in CUTS for metric in _LABELS]
    truth = ["recall/interest", "of users with ≥ 3", "coverage"] if full.by_truth else []
    head = [
        "variant",
        *(f"{_LABELS[n.split('@')[0]]}@{n.split('@')[1]}" for n in names),
        "Δ N@20 [95 %]",
        "± over seeds",
    ]
    head += [*truth, "least win share", "cosine", "epochs"]
    lines = [f"**{data}**, protocol {protocol}, {len(full.ndcg)} test users, {len(study.seeds)} seeds", ""]
    lines += [_line(head), _line(["---"] * len(head))]
    lines += [_line(_cells(row, full, names, seed)) for row in rows]
    return "\n".join([*lines, *_differences(rows, full, seed), ""])


def _cells(row: InterestRow, full: InterestRow, names: Sequence[str], seed: int) -> list[str]:
    cells = [row.variant, *(f"{row.metrics[name]:.4f}" for name in names)]
    cells += [_difference(row, full, seed), _over_seeds(row, full)]
    if full.by_truth:
        several = np.nanmean(of_several(row, "recall per interest"))
        cells += [f"{row.metrics['recall per interest']:.4f}", f"{several:.4f}", f"{row.metrics['coverage']:.4f}"]
    return [*cells, f"{min(row.win_shares):.3f}", f"{row.metrics['cosine']:.2f}", ", ".join(map(str, row.num_epochs))]


def _difference(row: InterestRow, full: InterestRow, seed: int) -> str:
    return "–" if row is full else _interval(np.array(row.ndcg) - np.array(full.ndcg), seed)


def _over_seeds(row: InterestRow, full: InterestRow) -> str:
    if row is full or len(row.seed_ndcg) < 2:
        return "–"
    return f"{paired_error(row.seed_ndcg, full.seed_ndcg):.4f}"


def _differences(rows: Sequence[InterestRow], full: InterestRow, seed: int) -> list[str]:
    """Return lines on users of several interests, where the truth is known."""
    if not full.by_truth:
        return []
    lines = ["", "Recall per true interest of users with three interests or more, against the full model:"]
    mine = of_several(full, "recall per interest")
    for row in rows:
        if row is not full:
            change = of_several(row, "recall per interest") - mine
            lines.append(f"- {row.variant}: {_interval(change[np.isfinite(change)], seed)}")
    return lines


def _interval(differences: np.ndarray, seed: int) -> str:
    low, high = bootstrap_interval(differences, seed)
    return f"{differences.mean():+.4f} [{low:+.4f}, {high:+.4f}]"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
