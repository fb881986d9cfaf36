"""Bring logs in as they would arrive: everything up to a day at once, later days one by one.

A data set is read once into `incoming/`, which has the layout of `raw/`; delivering a day links its files into `raw/`.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.contracts.columns import RAW_TABLES
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.settings import Settings
from training.storage import list_partitions

INCOMING = "incoming"


@dataclass(frozen=True, kw_only=True)
class LogSource:
    """Where the logs come from: a folder in a known format, or the simulator.

    Attributes:
        folder: A data set's folder; None simulates.
        format: recbole, movielens, amazon or csv.
        columns: Column map of a csv source.
    """

    folder: Path | None = None
    format: str | None = None
    columns: Path | None = None


def stage(settings: Settings, source: LogSource) -> list[Partition]:
    """Read a source into `incoming/` and return the days on which its interactions arrive, oldest first.

    Raises:
        AttuneError: The source cannot be read, has no rows, or other logs were staged in this home before.
    """
    incoming = dataclasses.replace(settings, home=settings.home / INCOMING)
    _claim(settings, source)
    if source.folder is None:
        from training.ingest.simulator import SimulatorConfig, simulate

        simulate(incoming, SimulatorConfig(seed=settings.seed))
    else:
        from training.ingest.importers import import_logs

        import_logs(incoming, source.folder, source.format or "csv", columns=source.columns)
    days = list_partitions(incoming.raw_dir("interactions"))
    if not days:
        raise AttuneError(f"expected interactions in {source.folder}, found none; name a folder that holds some")
    return days


def deliver(settings: Settings, until: Partition) -> int:
    """Link every staged file of days up to and including `until` into `raw/`; return how many are new."""
    num_new = 0
    for table in RAW_TABLES:
        staged = settings.home / INCOMING / "raw" / table
        for partition in list_partitions(staged):
            if partition > until:
                break
            for source in sorted((staged / f"dt={partition}").glob("[!.]*")):
                num_new += _link(source, settings.raw_dir(table) / f"dt={partition}" / source.name)
    return num_new


def _link(source: Path, target: Path) -> bool:
    if target.exists() and (target.samefile(source) or target.read_bytes() == source.read_bytes()):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.new")
    temporary.unlink(missing_ok=True)
    os.link(source, temporary)
    temporary.replace(target)
    return True


def _claim(settings: Settings, source: LogSource) -> None:
    """Refuse to mix two data sets in one home: their users and items would meet."""
    record = settings.home / INCOMING / "source.json"
    folder = str(source.folder.resolve()) if source.folder else None
    wanted: dict[str, Any] = {"folder": folder, "format": source.format if folder else "simulated"}
    if record.is_file():
        found = json.loads(record.read_text(encoding="utf-8"))
        if found != wanted:
            raise AttuneError(
                f"expected the logs of {found['folder'] or 'the simulator'} in {settings.home}, found "
                f"{wanted['folder'] or 'the simulator'}; set ATTUNE_HOME to a new folder for another data set"
            )
        return
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(wanted), encoding="utf-8")
