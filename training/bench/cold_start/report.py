"""Run the cold-start benchmark on every data set with attributes, and write its tables."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from training.bench.cold_start.auc import ablation, auc_table
from training.bench.cold_start.full import cold_rows, full_table
from training.bench.cold_start.logs import Attributes, read_attributes, simulated_attributes
from training.bench.cold_start.tasks import cold_data, make_tasks
from training.bench.quality.report import report_dir, write_table
from training.bench.shared.cache import Cache
from training.bench.shared.logs import PublicLog, read_public_log
from training.bench.shared.simulated import simulated_log
from training.consumers.cold_start.dataset import ColdStartData
from training.contracts.errors import MissingArtefact
from training.settings import Settings
from training.storage import write_json

logger = logging.getLogger(__name__)
WORKERS = 2
MAX_AUC_PAIRS = 2_000_000
"""Larger logs are ranked in full but not ablated: four modes over the seeds would take a quarter of an hour."""


def run_cold_start(settings: Settings, folders: Sequence[Path], num_seeds: int, *, simulator: bool) -> dict[str, str]:
    """Return the Markdown of each data set's tables by its name, written to the reports folder as well.

    Args:
        settings: Results are kept under `home/bench` and written to `home/reports/bench`.
        folders: Public logs; those without user attributes are left out.
        num_seeds: Seeds, counted up from the settings' seed.
        simulator: Whether to run on simulated logs, whose attributes hold picks at sign-up.
    """
    cache = Cache(settings.home / "bench" / "results")
    seeds = tuple(settings.seed + n for n in range(num_seeds))
    return {
        log.name: _report(settings, log, attributes, cache, seeds)
        for log, attributes in _logs(settings, folders, simulator)
    }


def _logs(settings: Settings, folders: Sequence[Path], simulator: bool) -> Iterator[tuple[PublicLog, Attributes]]:
    for folder in folders:
        log = read_public_log(folder)
        try:
            attributes = read_attributes(folder)
        except MissingArtefact as missing:
            logger.info("left out of the cold start: %s", missing)
        else:
            yield log, attributes
    if simulator:
        log, home = simulated_log(settings)
        yield log, simulated_attributes(home, log)


def _report(settings: Settings, log: PublicLog, attributes: Attributes, cache: Cache, seeds: Sequence[int]) -> str:
    started = time.perf_counter()
    content = f"{log.content_hash}-{attributes.content_hash}"
    rows = cold_rows(log.name, content, make_tasks(log.frame, attributes), cache, seeds)
    tables, figures = [full_table(rows)], {}
    if len(log.frame) <= MAX_AUC_PAIRS:
        figures = ablation(log.name, content, _whole(log, attributes), cache, seeds, workers=WORKERS)
        tables.append(auc_table(log.name, figures))
    text = write_table(settings, f"{log.name}_coldstart", "\n".join(tables))
    kept = {"rows": [row.to_dict() for row in rows], "auc": figures}
    write_json(kept, report_dir(settings) / f"{log.name}_coldstart.json")
    logger.info("%s cold start: done in %.0f s", log.name, time.perf_counter() - started)
    return text


def _whole(log: PublicLog, attributes: Attributes) -> ColdStartData:
    users, items, pairs = log.encoded()
    return cold_data(users.tolist(), items, pairs, attributes)
