"""Make the home that a soak runs on: one space is served, the next day is built, a second space waits."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from serving_export.jobs import run as run_serving
from training.contracts.columns import RAW_INTERACTIONS
from training.contracts.consumers import CONSUMERS
from training.contracts.partitions import Partition
from training.ingest.arrivals import mark_delivered
from training.ingest.conversion import TIMESTAMP
from training.ingest.simulator import SimulatorConfig, simulate
from training.ingest.world import WorldConfig
from training.jobs import run
from training.settings import Settings
from training.storage import PART, write_json, write_parquet

logger = logging.getLogger(__name__)
FORCED = "a soak moves what is served at set times"
FEATURES = ("land_partition", "transform_partition", "pool_taste", "validate_features", "materialise_features")


@dataclass(frozen=True)
class Size:
    """How large the simulated log is."""

    num_users: int = 600
    num_items: int = 300
    num_days: int = 14


def prepare(settings: Settings, size: Size) -> Partition:
    """Return the day whose events are streamed: today, after the two newest days of the log.

    The day before yesterday is served; yesterday is built and has a space of its own, which waits for its promotion.
    """
    today = Partition(datetime.now(UTC).date())
    done = settings.home / "prepared.json"
    if done.exists() and json.loads(done.read_text(encoding="utf-8")) == {"day": str(today)}:
        return today
    world = WorldConfig(
        num_users=size.num_users, num_items=size.num_items, num_days=size.num_days, last_day=str(today.shift(-1))
    )
    for day in (today.shift(-2), today.shift(-1)):
        simulate(settings, SimulatorConfig(world=world), until=day)
        build_day(settings, day)
        _train(settings, day)
        if day == today.shift(-2):
            promoted = run_serving("promote_space", str(day), settings=settings, force=FORCED)
            assert promoted["promoted"], promoted
        logger.info("%s is built and trained on", day)
    write_json({"day": str(today)}, done)
    return today


def build_day(settings: Settings, day: Partition) -> None:
    """Take a day's logs to features that are served online."""
    for job in FEATURES:
        run(job, str(day), settings=settings)


def deliver(settings: Settings, day: Partition, rows: Sequence[dict[str, Any]]) -> None:
    """Write events as a day's raw log, as whoever delivers logs does."""
    folder = settings.raw_dir(RAW_INTERACTIONS.name) / f"dt={day}"
    columns = {name: [row[name] for row in rows] for name in ("event_id", "user_id", "item_id", "event_type")}
    at = [datetime.fromisoformat(str(row["occurred_at"])) for row in rows]
    write_parquet(pa.table({**columns, "occurred_at": pa.array(at, TIMESTAMP)}), folder / PART)
    mark_delivered(folder)


def _train(settings: Settings, day: Partition) -> None:
    name = str(day)
    space_id = run("train_candidate", name, settings=settings)["space_id"]
    run("gate_candidate", name, settings=settings, space_id=space_id)
    for consumer in CONSUMERS:
        model = run("train_consumer", name, settings=settings, consumer=consumer, space_id=space_id)
        run("gate_consumer", name, settings=settings, consumer=consumer, version=model["version"])
