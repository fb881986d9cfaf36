"""Jobs that bring logs in: simulate them, import a data set, land a day."""

from __future__ import annotations

from pathlib import Path

from training.contracts.partitions import Partition
from training.ingest import importers, landing, simulator
from training.ingest.import_report import ImportReport
from training.ingest.landing import LandingReport
from training.ingest.simulator import SimulationReport, SimulatorConfig
from training.ingest.world import WorldConfig
from training.settings import Settings


def simulate_logs(
    settings: Settings,
    partition: Partition,
    *,
    num_users: int = 2000,
    num_items: int = 800,
    num_days: int = 40,
    last_day: str | None = None,
) -> SimulationReport:
    """Write simulated raw logs up to and including `partition`, and the truth behind them.

    Args:
        settings: Home and seed.
        partition: Last arrival day to write.
        num_users: People in the simulated world.
        num_items: Items in it.
        num_days: Days of log.
        last_day: Last day of the log (ISO date); None takes `partition`. Calls that name the same one share a log.
    """
    world = WorldConfig(
        num_users=int(num_users), num_items=int(num_items), num_days=int(num_days), last_day=last_day or str(partition)
    )
    return simulator.simulate(settings, SimulatorConfig(world=world), until=partition)


def import_logs(
    settings: Settings,
    partition: Partition | None,
    *,
    folder: Path | str,
    format: str,
    columns: str | None = None,
    preview: bool = False,
) -> ImportReport:
    """Write a data set as raw arrival-day partitions up to and including `partition` (None: all of it).

    Args:
        settings: Home.
        partition: Last arrival day to write.
        folder: The data set.
        format: csv, or a public layout (movielens, recbole, amazon, hm, lastfm, rees46, retailrocket, taobao, yelp).
        columns: Column map for csv.
        preview: Read and report, but write nothing.
    """
    return importers.import_logs(settings, folder, format, columns, until=partition, preview=preview)


def land_partition(settings: Settings, partition: Partition) -> LandingReport:
    """Check, type and land every raw day up to and including `partition` that has not landed as it now is.

    Args:
        settings: Home and quarantine share.
        partition: The day whose logs must have arrived.
    """
    return landing.land(settings, partition)
