"""Bring logs in as they would arrive: everything up to a day at once, later days one by one.

A data set is read once into `incoming/`, which has the layout of `raw/`; delivering a day links its files into `raw/`.
The simulator writes any prefix of its log by itself.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.contracts.columns import RAW_INTERACTIONS, RAW_ITEMS, RAW_TABLES, RAW_USERS
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.settings import Settings
from training.storage import list_partitions, replace_file, write_json

INCOMING = "incoming"
LAST_SIMULATED_DAY = "2025-11-08"
"""A day that lies behind every clock: Airflow backfills no day that is still to come."""


@dataclass(frozen=True, kw_only=True)
class LogSource:
    """Where the logs come from: a folder in a known format, or the simulator.

    Attributes:
        folder: A data set's folder; None simulates.
        format: csv, or a public layout such as movielens; None is csv.
        columns: Column map of a csv source.
        simulated: Sizes of the simulated world, where they are not the default.
    """

    folder: Path | None = None
    format: str | None = None
    columns: Path | None = None
    simulated: dict[str, int] = dataclasses.field(default_factory=dict)


def stage(settings: Settings, source: LogSource) -> list[Partition]:
    """Make a source ready for delivery and return the days on which its interactions arrive, oldest first.

    Raises:
        AttuneError: The source cannot be read, has no rows, or this home holds the logs of another one.
    """
    _require_same(settings, source)
    days = _staged_days(settings, source)
    write_json(_described(source), _record(settings))  # last: what could not be read must not keep others out
    return days


def _staged_days(settings: Settings, source: LogSource) -> list[Partition]:
    if source.folder is None:
        world = _simulation(source).world
        return [world.first.shift(number) for number in range(world.num_days)]
    from training.ingest.importers import import_logs

    incoming = dataclasses.replace(settings, home=settings.home / INCOMING)
    report = import_logs(incoming, source.folder, source.format or "csv", columns=source.columns)
    for page in sorted((incoming.reports_dir / "imports").glob("[!.]*")):
        with replace_file(settings.reports_dir / "imports" / page.name) as temporary:
            temporary.write_bytes(page.read_bytes())
    return [Partition.parse(day) for day in report.days]


def preview(settings: Settings, source: LogSource) -> str:
    """Return what an import of a folder would read and write, and write nothing.

    Raises:
        AttuneError: No folder is named, or it cannot be imported.
    """
    from training.ingest.importers import import_logs

    if source.folder is None:
        raise AttuneError("expected a folder to preview, found none; name one (LOGS=DIR)")
    incoming = dataclasses.replace(settings, home=settings.home / INCOMING)
    return import_logs(incoming, source.folder, source.format or "csv", columns=source.columns, preview=True).text()


def import_reports(settings: Settings) -> str:
    """Return the reports of what was imported into this home, or "simulated"."""
    pages = sorted((settings.reports_dir / "imports").glob("[!.]*.txt"))
    return "\n\n".join(page.read_text(encoding="utf-8").rstrip() for page in pages) or "simulated"


def deliver(settings: Settings, source: LogSource, until: Partition) -> None:
    """Bring everything that arrives up to and including `until` into `raw/`; doing it again changes nothing.

    Files of this source that its import no longer writes are removed, whatever their day.
    """
    if source.folder is None:
        from training.ingest.simulator import simulate

        simulate(settings, _simulation(source), until=until)
        return
    incoming = dataclasses.replace(settings, home=settings.home / INCOMING)
    _remove_withdrawn(settings, incoming)
    for table in (RAW_USERS.name, RAW_ITEMS.name, RAW_INTERACTIONS.name):
        for partition in list_partitions(incoming.raw_dir(table)):
            if partition > until:
                break
            _deliver_day(incoming.raw_dir(table) / f"dt={partition}", settings.raw_dir(table) / f"dt={partition}")


def _deliver_day(staged: Path, target: Path) -> None:
    """Link a day's files, its marker last."""
    from training.ingest.arrivals import mark_delivered

    for file in sorted(staged.glob("*.parquet")):
        _link(file, target / file.name)
    if any(staged.glob("*.parquet")):
        mark_delivered(target)


def _remove_withdrawn(settings: Settings, incoming: Settings) -> None:
    """Remove what an earlier import of this source delivered and the one that is staged now does not have."""
    from training.ingest.day_files import remove_day_file

    for table in RAW_TABLES:
        staged, delivered = incoming.raw_dir(table), settings.raw_dir(table)
        names = {path.name for path in incoming.home.glob("raw/*/dt=*/*.parquet")}
        for file in sorted(delivered.glob("dt=*/*.parquet")):
            if file.name in names and not (staged / file.relative_to(delivered)).exists():
                remove_day_file(settings, file)


def _require_same(settings: Settings, source: LogSource) -> None:
    """Raise AttuneError when this home holds another source's logs: their users and items would meet."""
    record = _record(settings)
    found = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else None
    if found not in (None, _described(source)):
        raise AttuneError(
            f"expected the logs of {_named(found)}, which {settings.home} holds, found {_named(_described(source))}; "
            "set ATTUNE_HOME to a new folder for other logs"
        )


def _record(settings: Settings) -> Path:
    return settings.home / INCOMING / "source.json"


def _described(source: LogSource) -> dict[str, Any]:
    folder = str(source.folder.resolve()) if source.folder else None
    return {"folder": folder, "format": source.format, "simulated": source.simulated}


def _named(described: dict[str, Any]) -> str:
    return f"{described['folder']} as {described['format'] or 'csv'}" if described["folder"] else "the simulator"


def _link(source: Path, target: Path) -> None:
    from training.ingest.arrivals import MARKER

    if target.exists() and (target.samefile(source) or target.read_bytes() == source.read_bytes()):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    (target.parent / MARKER).unlink(missing_ok=True)
    temporary = target.with_name(f".{target.name}.new")
    temporary.unlink(missing_ok=True)
    os.link(source, temporary)
    temporary.replace(target)


def _simulation(source: LogSource) -> Any:
    from training.ingest.simulator import SimulatorConfig
    from training.ingest.world import WorldConfig

    return SimulatorConfig(world=WorldConfig(last_day=LAST_SIMULATED_DAY, **source.simulated))
