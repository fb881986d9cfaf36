"""Write an import's files under `raw/`, one per table and day, so that a reader takes no day for whole before it is.

A day loses its marker before a file of it changes and gets it back when the import is through; a killed import leaves
days without a marker, and the same command completes them.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from training.contracts.columns import RAW_INTERACTIONS, RAW_ITEMS, RAW_USERS
from training.contracts.partitions import Partition
from training.ingest.arrivals import MARKER, mark_delivered, withdraw
from training.settings import Settings
from training.storage import replace_file

_TABLES = (RAW_USERS.name, RAW_ITEMS.name, RAW_INTERACTIONS.name)
"""Interactions last: a day has arrived when they are there."""


class DayFiles:
    """The files of one import: `raw/<table>/dt=D/<name>.parquet`."""

    def __init__(self, settings: Settings, name: str, is_preview: bool = False) -> None:
        self.name = name
        self._is_preview = is_preview
        self._settings = settings
        self._written: dict[str, set[Path]] = {table: set() for table in _TABLES}

    def write(self, table: str, partition: Partition, rows: pa.Table) -> None:
        """Write a day's rows; equal rows leave the file as it is."""
        path = self._settings.raw_dir(table) / f"dt={partition}" / f"{self.name}.parquet"
        if self._is_preview:
            return
        self._written[table].add(path)
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd")
        content = sink.getvalue().to_pybytes()
        if path.is_file() and path.read_bytes() == content:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / MARKER).unlink(missing_ok=True)
        with replace_file(path) as temporary:
            temporary.write_bytes(content)

    def remove_others(self, after: Partition | None = None) -> None:
        """Remove what an earlier import of this name wrote and this one did not, but for the days after `after`."""
        for table in _TABLES:
            for path in sorted(self._settings.raw_dir(table).glob(f"dt=*/{self.name}.parquet")):
                is_later = after is not None and path.parent.name > f"dt={after}"
                if path not in self._written[table] and not is_later:
                    remove_day_file(self._settings, path)

    def mark(self) -> None:
        """Say that every day written is whole."""
        for table in _TABLES:
            for path in sorted(self._written[table]):
                mark_delivered(path.parent)

    def listed(self) -> list[str]:
        """Return the files of this import, relative to the home."""
        paths = [path for table in _TABLES for path in self._settings.raw_dir(table).glob(f"dt=*/{self.name}.parquet")]
        return sorted(str(path.relative_to(self._settings.home)) for path in paths)


def remove_day_file(settings: Settings, path: Path) -> None:
    """Remove a file of a day; if nothing else is left in the day's folder, the folder goes and the day is withdrawn."""
    path.unlink(missing_ok=True)
    left = [child for child in path.parent.iterdir() if child.name != MARKER]
    if not left:
        (path.parent / MARKER).unlink(missing_ok=True)
        path.parent.rmdir()
        withdraw(settings, Partition.parse(path.parent.name.removeprefix("dt=")))
