"""Measure the import of a large CSV beside DuckDB's bare copy of the same file to Parquet, with the peak memory."""

from __future__ import annotations

import logging
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import duckdb

from training.bench.shared.timing import Timing, speed_table
from training.settings import Settings

logger = logging.getLogger(__name__)
NUM_ROWS = 1_000_000
_DAYS = 60
_FIRST = 1_700_000_000
_KB_PER_GB = 1 << 20


class Measured(NamedTuple):
    """Seconds, and the peak memory of the process in GB."""

    seconds: float
    peak: float


def import_timings(folder: Path, num_rows: int = NUM_ROWS) -> list[Timing]:
    """Return the lines of importing a CSV of `num_rows` events, each measured in a process of its own.

    Args:
        folder: Where the file and the imported home lie; some 150 bytes a row.
        num_rows: Events of a million users and a hundred thousand items over sixty days, in order of time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = write_log(folder / "events.csv", num_rows)
    logger.info("wrote %s rows, %.0f MB", f"{num_rows:,}", path.stat().st_size / 1e6)
    bare = _alone(bare_copy, path, folder / "copy.parquet")
    ours = _alone(whole_import, path, folder / "home")
    what = f"import of {num_rows:,} rows of CSV"
    limit = "DuckDB's bare COPY to Parquet"
    return [
        Timing(what=what, unit="s", ours=ours.seconds, limits={limit: bare.seconds}),
        Timing(what=f"{what}, peak memory", unit="GB", ours=ours.peak, limits={limit: bare.peak}),
    ]


def import_table(settings: Settings, num_rows: int) -> str:
    """Return the Markdown of an import's timings; the files are gone afterwards."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=settings.home) as folder:
        return speed_table(import_timings(Path(folder), num_rows), {"duckdb": duckdb.__version__})


def write_log(path: Path, num_rows: int) -> Path:
    """Write a log of our own, the same for the same size."""
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select 'u' || lpad((hash(n) % 1000000)::varchar, 7, '0') as user_id, "
            f"'i' || (hash(n * 7 + 1) % 100000)::varchar as item_id, "
            f"['view', 'click', 'purchase'][(hash(n + 5) % 3 + 1)::integer] as event_type, "
            f"{_FIRST} + (n * {_DAYS} * 86400) // {num_rows} as timestamp from range({num_rows}) as rows(n)) "
            f"to '{path}' (header)"
        )
    return path


def bare_copy(path: Path, target: Path) -> Measured:
    """Copy a CSV to one Parquet file."""
    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")
        started = time.perf_counter()
        connection.execute(f"copy (from '{path}') to '{target}'")
        return Measured(time.perf_counter() - started, _peak())


def whole_import(path: Path, home: Path) -> Measured:
    """Import a CSV into a home of its own."""
    from training.ingest.importers import import_logs

    settings = Settings.from_env({"ATTUNE_HOME": str(home)})
    started = time.perf_counter()
    import_logs(settings, path, "csv")
    return Measured(time.perf_counter() - started, _peak())


def _alone(measure: Callable[[Path, Path], Measured], path: Path, target: Path) -> Measured:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, path, target).result()


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KB_PER_GB
