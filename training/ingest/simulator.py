"""Simulate the logs of a shop-like service whose true preferences are known.

The truth lies in `truth/` under the home, so that a ranking's quality can be stated as a share of the attainable.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from training.contracts.artefacts import Artefact
from training.contracts.columns import RAW_INTERACTIONS, RAW_ITEMS, RAW_TABLES, RAW_USERS
from training.contracts.partitions import Partition
from training.ingest.arrivals import mark_delivered
from training.ingest.catalogue import item_ids, item_table, user_ids, user_table
from training.ingest.conversion import TIMESTAMP
from training.ingest.faulty_events import FaultConfig, add_faults, broken_rows
from training.ingest.history import complete
from training.ingest.sessions import TrafficConfig, draw_events
from training.ingest.world import Floats, World, WorldConfig, draw_world
from training.settings import Settings
from training.storage import PART, list_partitions, write_json, write_parquet

logger = logging.getLogger(__name__)
BROKEN = "part-1.parquet"
"""What a careless second producer sends: the same columns, all as text."""


@dataclass(frozen=True, kw_only=True)
class SimulatorConfig(Artefact):
    """All choices of a simulated log; its seed is the settings' own."""

    world: WorldConfig = field(default_factory=WorldConfig)
    traffic: TrafficConfig = field(default_factory=TrafficConfig)
    faults: FaultConfig = field(default_factory=FaultConfig)


@dataclass(frozen=True, kw_only=True)
class SimulationReport(Artefact):
    """What was written: days up to `until`, rows by table, and the log's whole range of days."""

    days: tuple[str, ...]
    days_written: int
    rows: dict[str, int]
    truth: str


class TruePreferences(NamedTuple):
    """The attainable ranking: external ids, and P(item | user) [U, I] float64 on a partition, in their order."""

    users: tuple[str, ...]
    items: tuple[str, ...]
    matrix: Callable[[Partition], Floats]


def simulate(
    settings: Settings, config: SimulatorConfig | None = None, until: Partition | None = None
) -> SimulationReport:
    """Write simulated raw logs and their truth; the same seed and config write the same bytes.

    Args:
        settings: Home and seed.
        config: Choices; None takes the defaults.
        until: Last arrival day to write; the log is drawn whole either way, so a later call adds the days between.

    Returns:
        Days and rows.
    """
    config = config or SimulatorConfig()
    rng = np.random.default_rng(settings.seed)
    world = draw_world(config.world, rng)
    events = add_faults(draw_events(world, config.traffic, rng), config.faults, config.world, rng)
    broken = broken_rows(events, config.faults, rng)
    last = config.world.first.shift(config.world.num_days - 1)
    stop = last if until is None else min(until, last)
    rows = {RAW_INTERACTIONS.name: _write_events(settings, config.world, events, PART, stop)}
    rows["broken"] = _write_events(settings, config.world, broken, BROKEN, stop)
    for name, table in (("users", user_table(world, rng)), ("items", item_table(world))):
        rows[name] = _write_sides(settings, name, table, config.world, stop)
    for name in (RAW_USERS.name, RAW_ITEMS.name, RAW_INTERACTIONS.name):
        for partition in list_partitions(settings.raw_dir(name)):
            if partition <= stop:
                mark_delivered(settings.raw_dir(name) / f"dt={partition}")
    world.save(truth_dir(settings))
    write_json({"seed": settings.seed, **config.to_dict()}, truth_dir(settings) / "simulation.json")
    days = [config.world.first.shift(n) for n in range(config.world.num_days)]
    return SimulationReport(
        days=tuple(str(day) for day in days),
        days_written=sum(day <= stop for day in days),
        rows=rows,
        truth=str(truth_dir(settings)),
    )


def truth_dir(settings: Settings) -> Path:
    """Return the folder of the simulated world."""
    return settings.home / "truth"


def true_preferences(settings: Settings) -> TruePreferences:
    """Return what the simulated users truly prefer; an item that does not exist yet has probability 0.

    Raises:
        MissingArtefact: This home holds no simulated logs.
    """
    world = World.load(truth_dir(settings))
    return TruePreferences(
        users=tuple(user_ids(world)),
        items=tuple(item_ids(world)),
        matrix=lambda partition: world.preferences(world.config.day_number(partition)),
    )


def _write_events(settings: Settings, world: WorldConfig, events: pd.DataFrame, name: str, stop: Partition) -> int:
    written = 0
    for day in np.unique(events["arrival_day"].to_numpy()):
        rows = events[events["arrival_day"] == day]
        partition = world.first.shift(int(day))
        if not world.first <= partition <= stop:
            continue
        table = pa.Table.from_pandas(rows.drop(columns="arrival_day"), preserve_index=False)
        if name == PART:
            at = table.column_names.index("occurred_at")
            table = table.set_column(at, "occurred_at", table["occurred_at"].cast(TIMESTAMP))
        write_parquet(table.replace_schema_metadata(None), _raw_path(settings, RAW_INTERACTIONS.name, partition, name))
        written += table.num_rows
    return written


def _write_sides(settings: Settings, name: str, table: pa.Table, world: WorldConfig, stop: Partition) -> int:
    arrival = table["arrival_day"].to_numpy()
    written = 0
    for day in np.unique(arrival):
        partition = world.first.shift(int(day))
        if partition > stop:
            break
        rows = complete(table.filter(pa.array(arrival == day)), RAW_TABLES[name].name, partition)
        write_parquet(rows, _raw_path(settings, name, partition, PART))
        written += rows.num_rows
    return written


def _raw_path(settings: Settings, table: str, partition: Partition, name: str) -> Path:
    return settings.raw_dir(table) / f"dt={partition}" / name
