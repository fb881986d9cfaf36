"""Take every timing in one run and write the speed table."""

from __future__ import annotations

import logging
from pathlib import Path

from serving_export.bench.http_lookups import http_timings
from serving_export.bench.lookups import lookup_timings
from serving_export.bench.sizes import size_timings
from serving_export.bench.stream import stream_timings
from serving_export.bench.top_k import top_k_timing
from training.bench.quality.report import report_dir
from training.bench.shared.cache import library_versions
from training.bench.shared.timing import speed_table
from training.bench.speed.features import feature_timings
from training.bench.speed.imports import NUM_ROWS, import_timings
from training.bench.speed.materialise import materialise_timings
from training.bench.speed.training import training_timings
from training.settings import Settings
from training.storage import replace_file, write_json

logger = logging.getLogger(__name__)
FEAST_USERS = 2_000
SIZES = (10_000, 100_000, 1_000_000)
LARGEST = 20
"""Times the users of the other lines, that the largest snapshot may hold: a short run stays short."""
MATERIALISED_USERS = 10_000


def measure(settings: Settings, scratch: Path, num_users: int, num_items: int, num_rows: int = NUM_ROWS) -> str:
    """Return the Markdown of all timings, written to `home/reports/bench/speed.{md,json}` as well.

    Args:
        settings: Where the report goes.
        scratch: An empty folder; homes of the measurements' own lie in it.
        num_users: Users in the published snapshot.
        num_items: Items to search.
        num_rows: Rows of the CSV to import.
    """
    own = Settings.from_env({"ATTUNE_HOME": str(scratch / "lookups"), "ATTUNE_SEED": str(settings.seed)})
    timings = lookup_timings(own, num_users, min(FEAST_USERS, num_users))
    logger.info("lookups are measured")
    own = Settings.from_env({"ATTUNE_HOME": str(scratch / "http"), "ATTUNE_SEED": str(settings.seed)})
    timings += http_timings(own, num_users, min(FEAST_USERS, num_users))
    logger.info("lookups over HTTP are measured")
    sizes = sorted({min(size, num_users * LARGEST) for size in SIZES})
    timings += size_timings(scratch / "sizes", sizes, settings.seed)
    logger.info("snapshots of several sizes are measured")
    timings.append(top_k_timing(scratch, num_items, seed=settings.seed))
    logger.info("searches are measured")
    timings += materialise_timings(scratch / "materialise", settings.seed, min(MATERIALISED_USERS, num_users))
    logger.info("materialising is measured")
    timings += training_timings(seed=settings.seed)
    logger.info("training and encoding are measured")
    timings += stream_timings(scratch / "stream", settings.seed)
    logger.info("the stream is measured")
    timings += feature_timings(scratch / "features", settings.seed)
    logger.info("features are measured")
    timings += import_timings(scratch / "import", num_rows)
    table = speed_table(timings, library_versions())
    folder = report_dir(settings)
    write_json([one.to_dict() for one in timings], folder / "speed.json")
    with replace_file(folder / "speed.md") as temporary:
        temporary.write_text(table, encoding="utf-8")
    return table
