"""Build a partition's clean facts and complete feature snapshots with dbt, and export them as Parquet.

Partitions are *arrival* days. What had arrived by the end of day D decides D's snapshot, so that a late event
enters with its own arrival day and no earlier snapshot is ever rewritten; any order of builds ends the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from training.contracts.artefacts import Artefact
from training.contracts.columns import DBT_FEATURES, INTERACTIONS, RAW_TABLES, Table
from training.contracts.errors import MissingArtefact
from training.contracts.partitions import Partition
from training.data import built_days
from training.data.dbt import run_dbt
from training.data.dropped_users import report_dropped
from training.settings import Settings
from training.storage import PART, arrow_schema, list_partitions, write_parquet

logger = logging.getLogger(__name__)
_DAILY_UP_TO, _MONTHLY_UP_TO = 10, 366
_EXPORT_DAYS = 128
_WRITERS = 8


@dataclass(frozen=True, kw_only=True)
class BuildReport(Artefact):
    """What one build did: the arrival days whose facts it built, dbt's nodes by status, and whom a rule dropped."""

    partition: str
    first_day: str | None
    num_days: int
    nodes: dict[str, int]
    dropped: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class ExportReport(Artefact):
    """What one export wrote: rows per snapshot table, and how many days of interactions."""

    partition: str
    rows: dict[str, int]
    interaction_days: int


def build(settings: Settings, partition: Partition, since: Partition | None = None) -> BuildReport:
    """Build the facts of every landed day not yet built up to `partition`, then the snapshots as of it.

    Building an older partition again leaves the facts as they are and only refreshes the snapshots.

    Args:
        settings: Names the home.
        partition: Whose complete snapshots the feature marts hold afterwards.
        since: Build the facts from this day on again, whether or not they match what has landed.

    Raises:
        AttuneError: A model or a test failed; the marts then count as unbuilt.
    """
    days = built_days.unbuilt_range(settings, partition)
    if since is not None and since <= partition:
        days = (min(since, days[0]) if days else since, partition)
    built_days.record_snapshot(settings, None)
    nodes = run_dbt(settings, "build", source_locations(settings), _variables(partition, days), *_selection(days))
    if days:
        built_days.record_built(settings, *days, snapshot=partition)
    else:
        built_days.record_snapshot(settings, partition)
    num_days = (days[1].day - days[0].day).days + 1 if days else 0
    logger.info("built %s: %d day(s) of facts, snapshots as of %s", partition, num_days, partition.as_of)
    first_day = str(days[0]) if days else None
    dropped = report_dropped(settings, *(days or (partition, partition)))
    return BuildReport(partition=str(partition), first_day=first_day, num_days=num_days, nodes=nodes, dropped=dropped)


def export_features(settings: Settings, partition: Partition, since: Partition | None = None) -> ExportReport:
    """Write the partition's snapshot of each feature table, and each built day of interactions that changed.

    Files are sorted by their key and equal rows give equal bytes. A day without rows has a file with none.

    Args:
        settings: Names the home.
        partition: The partition that was built last.
        since: Write the interactions from this day on again, changed or not.

    Raises:
        MissingArtefact: The feature marts hold another partition's snapshot.
    """
    found = built_days.current_snapshot(settings)
    if found != partition:
        raise MissingArtefact(
            f"expected the snapshot of {partition}, found {found or 'none'} at {settings.warehouse_path}; "
            f"run transform_partition for {partition}"
        )
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute("set timezone = 'UTC'")
        rows = {table.name: _export_snapshot(settings, connection, table, partition) for table in DBT_FEATURES.values()}
    days = built_days.unexported_days(settings, partition, since)
    for chunk in _chunks(days):
        with duckdb.connect(str(settings.warehouse_path)) as connection:
            connection.execute("set timezone = 'UTC'")
            _export_interactions(settings, connection, chunk)
        built_days.record_exported(settings, chunk)
    logger.info("exported %s: %s, %d day(s) of interactions", partition, rows, len(days))
    return ExportReport(partition=str(partition), rows=rows, interaction_days=len(days))


def _selection(days: tuple[Partition, Partition] | None) -> list[str]:
    """Build everything over the range of days; with none, the snapshots alone.

    And the staging views, which hold where the landed days lie: a home that was copied reads its own.
    """
    arguments = ["--exclude-resource-type", "unit_test"]
    if days is None:
        return [*arguments, "--select", "staging", "dim_users+", "dim_items+", "int_user_days_dropped"]
    return [*arguments, "--event-time-start", str(days[0]), "--event-time-end", str(days[1].shift(1))]


def _variables(partition: Partition, days: tuple[Partition, Partition] | None) -> dict[str, str]:
    return {"partition": str(partition), "batch_size": _batch_size(days)}


def source_locations(settings: Settings) -> dict[str, str]:
    """Return the dbt vars that say where each landed table lies."""
    return {f"{name}_location": _location(settings, table) for name, table in RAW_TABLES.items()}


def _batch_size(days: tuple[Partition, Partition] | None) -> str:
    num_days = (days[1].day - days[0].day).days + 1 if days else 1
    if num_days <= _DAILY_UP_TO:
        return "day"
    return "month" if num_days <= _MONTHLY_UP_TO else "year"


def _location(settings: Settings, table: Table) -> str:
    """Return the glob of a landed table; one that never landed is read from an empty file of its schema."""
    folder = settings.landed_dir(table.name)
    if folder.is_dir() and list_partitions(folder):
        return str(folder / "dt=*" / PART)
    empty = settings.warehouse_path.parent / "empty" / table.name / "dt=1970-01-01" / PART
    if not empty.exists():
        write_parquet(arrow_schema(table).empty_table(), empty)
    return str(empty)


def _export_snapshot(
    settings: Settings, connection: duckdb.DuckDBPyConnection, table: Table, partition: Partition
) -> int:
    columns, order = ", ".join(table.column_names), ", ".join(table.key)
    found = connection.sql(f"select {columns} from {table.name}_features order by {order}").to_arrow_table()
    write_parquet(_typed(found, table), settings.features_dir(table.name, partition) / PART)
    return int(found.num_rows)


def _export_interactions(settings: Settings, connection: duckdb.DuckDBPyConnection, days: list[Partition]) -> None:
    """Write one file per day of `days`, which are in order; one query for all, the files side by side."""
    columns = ", ".join(INTERACTIONS.column_names)
    found = connection.sql(
        f"select {columns} from fct_interactions where arrived_at between ? and ? "
        "order by arrived_at, occurred_at, user_id, event_id",
        params=[_zoneless(days[0]), _zoneless(days[-1])],
    ).to_arrow_table()
    facts = _typed(found, INTERACTIONS)
    arrived_us = facts.column("arrived_at").cast(pa.int64()).to_numpy()

    def write(day: Partition) -> None:
        start_us = int(day.starts_at.timestamp()) * 1_000_000
        first, last = np.searchsorted(arrived_us, [start_us, start_us + 1])
        write_parquet(facts.slice(first, last - first), settings.features_dir(INTERACTIONS.name, day) / PART)

    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(write, days))


def _zoneless(day: Partition) -> datetime:
    return day.starts_at.replace(tzinfo=None)


def _typed(found: pa.Table, table: Table) -> pa.Table:
    """Return the rows under the contract's schema: the warehouse's zoneless timestamps are UTC."""
    schema = arrow_schema(table)
    columns = [found.column(field.name).cast(field.type).combine_chunks() for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _chunks(days: list[Partition]) -> Iterator[list[Partition]]:
    for start in range(0, len(days), _EXPORT_DAYS):
        yield days[start : start + _EXPORT_DAYS]
