"""Measure a day of features: dbt beside the same SQL in bare DuckDB, and taste pooling, whole and from yesterday."""

from __future__ import annotations

import json
import logging
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from training.bench.shared.timing import Timing
from training.contracts.columns import EVENT_TIMESTAMP
from training.contracts.partitions import Partition
from training.ingest.simulator import SimulatorConfig, simulate
from training.ingest.world import WorldConfig
from training.settings import Settings

logger = logging.getLogger(__name__)
CONFIG = SimulatorConfig(world=WorldConfig(num_users=2000, num_items=800, num_days=14))


def feature_timings(folder: Path, seed: int, config: SimulatorConfig = CONFIG) -> list[Timing]:
    """Return the lines of one day's build and of pooling, on logs simulated into `folder`."""
    from training.ingest.landing import land

    settings = Settings.from_env({"ATTUNE_HOME": str(folder), "ATTUNE_SEED": str(seed)})
    report = simulate(settings, config)
    day = Partition.parse(report.days[-1])
    _build(settings, day.shift(-1))
    land(settings, day)
    built = _timed(lambda: _build(settings, day))
    what = f"dbt build of a day, {report.rows['interactions']:,} events of {len(report.days)} days known"
    lines = [Timing(what=what, unit="s", ours=built, limits={"the same SQL in bare DuckDB": _bare_sql(settings)})]
    return [*lines, _pooling(settings, day)]


def _build(settings: Settings, day: Partition) -> None:
    from training.data.warehouse import build, export_features
    from training.ingest.landing import land

    land(settings, day)
    build(settings, day)
    export_features(settings, day)


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _bare_sql(settings: Settings) -> float:
    """Return the seconds of every compiled model's query against a copy of the warehouse, nothing else."""
    folder = settings.warehouse_path.parent / "dbt" / "target"
    manifest = json.loads((folder / "run_results.json").read_text(encoding="utf-8"))
    queries = [
        result["compiled_code"]
        for result in manifest["results"]
        if result["unique_id"].startswith("model.") and result.get("compiled_code")
    ]
    copy = settings.warehouse_path.with_name("bare.duckdb")
    shutil.copyfile(settings.warehouse_path, copy)
    with duckdb.connect(str(copy)) as connection:
        connection.execute("set timezone = 'UTC'")
        name = settings.warehouse_path.stem
        mended = [re.sub(rf'"{name}"\.', '"bare".', query) for query in queries]
        logger.info("%d compiled models run in bare DuckDB", len(mended))
        return _timed(lambda: [connection.execute(f"create or replace temp table t as {query}") for query in mended])


def _pooling(settings: Settings, day: Partition) -> Timing:
    """Return the line of pooling from yesterday's sums, beside pooling from all events."""
    from training.data.feature_store import read_item_features
    from training.representation.item_space import learn_item_space
    from training.representation.item_table import build_item_table
    from training.representation.taste_sums import taste_sums

    space = learn_item_space(settings, day.shift(-1))
    profile = read_item_features(settings, day).drop(columns=EVENT_TIMESTAMP)
    table = build_item_table(space, profile)
    whole = _timed(lambda: taste_sums(settings, day, table))
    shutil.rmtree(settings.home / "taste_sums")
    taste_sums(settings, day.shift(-1), table)
    daily = _timed(lambda: taste_sums(settings, day, table))
    return Timing(
        what=f"taste pooling of a day, {space.width} columns × 2 modalities × 4 windows",
        unit="s",
        ours=daily,
        incumbents={"from all events": whole},
    )
