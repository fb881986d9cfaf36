"""Import a public or own data set as raw logs."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

from training.contracts.columns import RAW_INTERACTIONS, RAW_TABLES
from training.contracts.errors import AttuneError, MissingArtefact
from training.contracts.partitions import Partition
from training.ingest import amazon, recbole
from training.ingest.accounts import account, report_of
from training.ingest.column_map import ColumnMap
from training.ingest.day_files import DayFiles
from training.ingest.import_manifests import Manifest, fingerprint, import_name
from training.ingest.import_report import ImportReport
from training.ingest.layout_maps import LAYOUTS, choose_layout
from training.ingest.source_files import SourceFiles, find_files
from training.ingest.staged_days import write_staged
from training.ingest.staging import StagedTable, Workspace, stage_table, workspace
from training.settings import Settings
from training.storage import replace_file, write_json

logger = logging.getLogger(__name__)
FORMATS = ("csv", *LAYOUTS)


@dataclass(frozen=True)
class StagedLog:
    """A log's tables, staged, with the column map that they were read through and the files that were not read."""

    columns: ColumnMap
    tables: dict[str, StagedTable] = field(default_factory=dict)
    files: SourceFiles = field(default_factory=lambda: SourceFiles({}, ()))


def import_logs(
    settings: Settings,
    folder: Path | str,
    format: str,
    columns: Path | str | None = None,
    until: Partition | None = None,
    preview: bool = False,
) -> ImportReport:
    """Write a data set as raw arrival-day partitions, and say what became of every row of it.

    Importing the same source again replaces what the last import of it wrote; other sources stay.

    Args:
        settings: Where raw lies, and what share of a file's rows may be rejected.
        folder: The data set's folder, or its one file of interactions.
        format: csv (any CSV, Parquet or JSON Lines), or a public layout that is shipped.
        columns: Column map (YAML) for csv; without it names are guessed.
        until: Last day to write; None writes all.
        preview: Read and report, but write nothing.

    Returns:
        The days of the data set, what is now in raw, and what was read from where.

    Raises:
        AttuneError: The format is unknown, a file is missing, empty or unreadable, or the column map does not fit.
        ContractViolation: Too large a share of a file's or an event type's rows cannot be used.
    """
    path = Path(folder)
    if format not in FORMATS:
        raise AttuneError(f"expected FORMAT as one of {', '.join(FORMATS)}, found {format!r}; name one of them")
    if not path.exists():
        raise MissingArtefact(f"expected logs at {path}, found nothing there; name an existing folder (LOGS=DIR)")
    if columns is not None and format != "csv":
        logger.warning("ignored the column map %s: only FORMAT=csv reads one", columns)
    logger.info("reading %s as %s", path, format)
    files = DayFiles(settings, import_name(settings, path, format), is_preview=preview)
    with workspace(None if preview else settings.home) as place:
        log = stage_log(place, path, format, columns)
        accounts = account(place, log.tables, log.columns, settings.quarantine_max_share)
        if not preview:
            read = [file for paths in log.files.tables.values() for file in paths]
            manifest = Manifest(settings, files, path, fingerprint(log.columns, read))
            manifest.begin()
        written = write_staged(place, files, str(path), until, accounts.event_types)
        report = report_of(place, path, log.tables, accounts, written, log.files.unread, preview)
        if not preview:
            manifest.finish(until)
            accounts.keep_rejected(settings, files.name)
            _keep(settings, files.name, report)
    logger.info("%s", report.text())
    return report


def stage_log(place: Workspace, path: Path, format: str, columns: Path | str | None = None) -> StagedLog:
    """Return a log's tables, staged and judged row by row; see `import_logs`."""
    base = path.parent if path.is_file() else path
    if format == "csv":
        mapped = ColumnMap.load(Path(columns)) if columns is not None else ColumnMap()
        files = find_files(place, path, mapped)
    elif format == "amazon" and amazon.has_sequences(base):
        mapped = amazon.SEQUENCES
        files = SourceFiles({RAW_INTERACTIONS.name: [amazon.join_sequences(base, place.folder)]}, ())
    else:
        if format == "recbole":
            recbole.require_one_set(base)
        mapped = choose_layout(format, base)
        files = find_files(place, base, mapped, is_all_needed=False)
    tables = {
        name: stage_table(place, table, files.tables[name], mapped)
        for name, table in RAW_TABLES.items()
        if name in files.tables
    }
    return StagedLog(mapped, tables, files)


def _keep(settings: Settings, name: str, report: ImportReport) -> None:
    """Keep a report for programs and for people."""
    folder = settings.reports_dir / "imports"
    write_json(report.to_dict(), folder / f"{name}.json")
    with replace_file(folder / f"{name}.txt") as temporary:
        temporary.write_text(report.text() + "\n", encoding="utf-8")
