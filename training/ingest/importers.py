"""Import a public or own data set as raw logs."""

from __future__ import annotations

import logging
from pathlib import Path

from training.contracts.errors import AttuneError, MissingArtefact
from training.contracts.partitions import Partition
from training.ingest.amazon import read_amazon
from training.ingest.column_map import ColumnMap, read_mapped
from training.ingest.history import History, ImportReport, write_history
from training.ingest.movielens import read_movielens
from training.ingest.recbole import read_recbole
from training.settings import Settings

logger = logging.getLogger(__name__)
FORMATS = ("recbole", "movielens", "amazon", "csv")


def import_logs(
    settings: Settings,
    folder: Path | str,
    format: str,
    columns: Path | str | None = None,
    until: Partition | None = None,
) -> ImportReport:
    """Write a data set as raw arrival-day partitions; see `write_history`.

    Args:
        settings: Where raw lies.
        folder: The data set's folder; for csv also one file.
        format: recbole, movielens, amazon, or csv (which reads CSV, Parquet and JSON Lines).
        columns: Column map (YAML) for csv; without it names are guessed.
        until: Last day to write; None writes all.

    Returns:
        The days of the data set and what is now in raw.

    Raises:
        AttuneError: The format is unknown, or a file is missing, empty or unreadable, or lacks a column.
    """
    path = Path(folder)
    if format not in FORMATS:
        raise AttuneError(f"expected FORMAT as one of {', '.join(FORMATS)}, found {format!r}; name one of them")
    if not path.exists():
        raise MissingArtefact(f"expected logs at {path}, found nothing there; name an existing folder (LOGS=DIR)")
    if columns is not None and format != "csv":
        logger.warning("ignored the column map %s: only FORMAT=csv reads one", columns)
    logger.info("reading %s as %s", path, format)
    return write_history(settings, _read(path, format, columns), format, until)


def _read(path: Path, format: str, columns: Path | str | None) -> History:
    if format == "csv":
        return read_mapped(path, ColumnMap.load(Path(columns)) if columns is not None else ColumnMap())
    if path.is_file():
        path = path.parent
    return {"recbole": read_recbole, "movielens": read_movielens, "amazon": read_amazon}[format](path)
