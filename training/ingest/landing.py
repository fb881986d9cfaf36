"""Land raw logs: check every row of each day that has arrived, keep the good ones typed, quarantine the others.

A day lands whole or not at all: its manifest is written last, and a day without one lands again. What landed is a
function of what lies in raw, whatever the order: a day delivered again lands again, and so do later days whose rows
repeat ids of it; a day that was withdrawn is taken out. A day that cannot land keeps its last landed version and
stops no other, unless it is the one that was asked for.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from training.contracts.artefacts import Artefact
from training.contracts.columns import RAW_INTERACTIONS, RAW_TABLES, Table
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.ingest import landing_notes, reused_ids
from training.ingest.arrivals import forget_withdrawn, withdrawn_days
from training.ingest.landed_days import (
    CONTRACT_VERSION,
    RawDays,
    judged_as_now,
    landed_partitions,
    manifest_path,
    read_manifest,
)
from training.ingest.quarantine import Rejected, counts, write_quarantine
from training.ingest.raw_files import CheckedRows, read_checked
from training.ingest.thresholds import OF_TYPE, landed_types, require_few, type_losses
from training.settings import Settings
from training.storage import PART, write_json, write_parquet

logger = logging.getLogger(__name__)
_DAYS_PER_PROGRESS_LINE = 200
_THREADS = 4
"""Landing waits for the disk to confirm each file; several days wait together."""
_BYTES_AT_ONCE = 64 * 2**20
"""Days whose raw files are held in memory together, a tenth of what their rows take there."""
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class LandingReport(Artefact):
    """What one landing did.

    Attributes:
        partition: The day asked for.
        landed: Days that landed for the first time.
        relanded: Days that landed again because their raw files, or those of a day before them, had changed.
        rows: Rows landed, by table.
        quarantined: Rows quarantined, by reason.
        erased: Rows of erased users, dropped.
        types: Rows of each event type, as the log names it, `landed` and `quarantined`.
        empty: Days without interactions before the newest that arrived: taken as days on which nothing happened.
        refused: Days that could not land and keep what landed of them before, each with the error.
        notes: What someone should know or do, such as what was lost, and a backfill of later days.
    """

    partition: str
    landed: tuple[str, ...]
    relanded: tuple[str, ...]
    rows: dict[str, int]
    quarantined: dict[str, int]
    erased: int
    types: dict[str, dict[str, int]]
    empty: tuple[str, ...]
    refused: dict[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Day:
    """One day as it lies in raw: its content hashes by table and file, and its rows by table."""

    prints: Mapping[str, Mapping[str, str]]
    tables: Mapping[Table, CheckedRows]

    @property
    def rejected(self) -> list[Rejected]:
        """The rows of every table that may not land."""
        return [row for checked in self.tables.values() for row in checked.rejected]

    @property
    def num_erased(self) -> int:
        """How many rows of erased users were dropped."""
        return sum(checked.num_erased for checked in self.tables.values())


@dataclass
class _Progress:
    """What has happened so far in one landing."""

    done: list[Partition] = field(default_factory=list)
    refused: dict[Partition, AttuneError] = field(default_factory=dict)
    rows: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    erased: int = 0
    types: dict[str, Counter[str]] = field(default_factory=dict)

    def count_types(self, checked: CheckedRows) -> None:
        """Add the rows of a day by event type, landed and quarantined."""
        for loss in type_losses(RAW_INTERACTIONS, checked):
            self.types.setdefault(loss.of.removeprefix(OF_TYPE), Counter())["quarantined"] += loss.lost
        for name, rows in landed_types(checked).items():
            self.types.setdefault(name, Counter())["landed"] += rows


def land(settings: Settings, partition: Partition) -> LandingReport:
    """Land every day up to and including `partition` that has not landed or whose raw files changed since.

    Args:
        settings: Where raw and landed lie, and what share of a day's rows may be quarantined.
        partition: The day whose interactions must have arrived; one without any is empty where later ones have.

    Returns:
        Days, rows and reasons; nothing where all had landed.

    Raises:
        MissingArtefact: No interactions arrived on `partition` or later, or they were not delivered whole.
        AttuneError: A file of `partition` is empty, cannot be read or lacks a column; it has not landed, others have.
        ContractViolation: More than the allowed share of its rows broke the contract; they are in quarantine.
    """
    raw = RawDays.of(settings)
    landing_notes.require_arrival(settings, raw, partition)
    before = landed_partitions(settings)
    days = [day for day in raw.days(partition) if not raw.lacks(day)]
    withdrawn = withdrawn_days(settings)
    gone = sorted(set(before) & withdrawn - set(raw.days()))
    first = min({*days, *before} - set(gone), default=None)
    progress = _Progress()
    changed = list(_changed(settings, raw, days, first, progress))
    _forget(settings, gone)
    for chunk in _chunks(raw, changed) or ([[]] if gone else []):
        _land_chunk(settings, raw, chunk, set(changed), first, progress)
    _withdraw(settings, gone)
    forget_withdrawn(settings, withdrawn)
    if partition in progress.refused:
        raise progress.refused[partition]
    return _report(settings, raw, partition, before, gone, progress)


def _changed(
    settings: Settings, raw: RawDays, days: list[Partition], first: Partition | None, progress: _Progress
) -> Iterator[Partition]:
    """Yield the days to land; one whose files cannot be read now is refused."""
    for day in days:
        manifest = read_manifest(settings, day)
        try:
            same = (
                manifest is not None
                and judged_as_now(settings, manifest)
                and manifest["is_first"] == (day == first)
                and manifest["raw"] == raw.fingerprints(day)
            )
        except AttuneError as error:
            progress.refused[day] = error
            continue
        if not same:
            yield day


def _chunks(raw: RawDays, days: list[Partition]) -> list[list[Partition]]:
    chunks: list[list[Partition]] = []
    room = 0
    for day in days:
        paths = [path for name in RAW_TABLES for path in raw.paths(name, day)]
        size = sum(path.stat().st_size for path in paths if path.exists())
        if not chunks or size > room:
            chunks.append([])
            room = _BYTES_AT_ONCE
        chunks[-1].append(day)
        room -= size
    return chunks


def _land_chunk(
    settings: Settings,
    raw: RawDays,
    days: list[Partition],
    changed: set[Partition],
    first: Partition | None,
    progress: _Progress,
) -> None:
    """Land some days, and before them the landed days whose rows are judged otherwise now that these have changed.

    In that order a crash leaves the changed days without their manifests, so that the next landing judges again.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        read = dict(zip(days, pool.map(lambda day: _attempt(_read, settings, raw, day, {}), days), strict=True))
        good = {day: found for day, found in read.items() if not isinstance(found, AttuneError)}
        list(pool.map(lambda day: reused_ids.remember(settings, day, good[day].tables[RAW_INTERACTIONS]), good))
        reused = reused_ids.find_reused(settings, list(good))
        others = _otherwise(settings, raw, reused, changed)
        for group, ready in ((others, {}), (days, read)):
            tries = [
                pool.submit(_attempt, _land_day, settings, raw, day, ready.get(day), reused.get(day, {}), day == first)
                for day in group
            ]
            _count(group, (future.result() for future in tries), progress)


def _otherwise(
    settings: Settings, raw: RawDays, reused: Mapping[Partition, Mapping[int, str]], changed: set[Partition]
) -> list[Partition]:
    """Return the landed days, but for those that land anyway, of which other ids are reused than when they landed."""
    known = reused_ids.known_reused(settings)
    days = sorted({*known, *reused} - changed)
    differ = [day for day in days if set(reused.get(day, ())) != known.get(day, set())]
    return [day for day in differ if _lands_as_it_lies(settings, raw, day)]


def _lands_as_it_lies(settings: Settings, raw: RawDays, day: Partition) -> bool:
    """Whether a day landed from the files that lie there now; another is judged when it lands in its turn."""
    manifest = read_manifest(settings, day)
    try:
        return manifest is not None and not raw.lacks(day) and manifest["raw"] == raw.fingerprints(day)
    except AttuneError:
        return False


def _attempt(function: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R | AttuneError:
    """Return a result, or the expected error that came instead."""
    try:
        return function(*arguments, **options)
    except AttuneError as error:
        return error


def _read(settings: Settings, raw: RawDays, day: Partition, reused: Mapping[int, str]) -> _Day:
    prints = raw.fingerprints(day)  # before the rows: files that change meanwhile then count as changed
    tables = {
        table: read_checked(settings, table, day, raw.paths(name, day), reused if table is RAW_INTERACTIONS else None)
        for name, table in RAW_TABLES.items()
    }
    return _Day(prints, tables)


def _land_day(
    settings: Settings,
    raw: RawDays,
    day: Partition,
    read: _Day | AttuneError | None,
    reused: Mapping[int, str],
    is_first: bool,
) -> _Day:
    if isinstance(read, AttuneError):
        raise read
    found = _read(settings, raw, day, reused) if read is None or reused else read
    _require_rows(raw, day, found)
    for table, checked in found.tables.items():
        write_quarantine(settings, table, day, checked.rejected)
    for table, checked in found.tables.items():
        require_few(settings, table, day, checked)
    for table, checked in found.tables.items():
        path = settings.landed_dir(table.name) / f"dt={day}" / PART
        if found.prints[table.name] or is_first:
            write_parquet(checked.rows, path)
        else:
            path.unlink(missing_ok=True)
    reused_ids.record_reused(settings, day, set(reused))
    manifest = {
        "version": CONTRACT_VERSION,
        "event_key": settings.event_key,
        "is_first": is_first,
        "raw": found.prints,
        "rows": {table.name: int(checked.rows.num_rows) for table, checked in found.tables.items()},
        "quarantined": counts(found.rejected),
        "erased": found.num_erased,
    }
    write_json(manifest, manifest_path(settings, day))
    return found


def _count(days: Iterable[Partition], landed: Iterable[_Day | AttuneError], progress: _Progress) -> None:
    for day, found in zip(days, landed, strict=True):
        if isinstance(found, AttuneError):
            progress.refused[day] = found
            continue
        progress.done.append(day)
        progress.rows.update({table.name: int(checked.rows.num_rows) for table, checked in found.tables.items()})
        progress.quarantined.update(counts(found.rejected))
        progress.erased += found.num_erased
        progress.count_types(found.tables[RAW_INTERACTIONS])
        if len(progress.done) % _DAYS_PER_PROGRESS_LINE == 0:
            logger.info("landed %d days, the last one %s", len(progress.done), day)


def _require_rows(raw: RawDays, day: Partition, found: _Day) -> None:
    files = raw.paths(RAW_INTERACTIONS.name, day)
    if files and not found.tables[RAW_INTERACTIONS].num_rows:
        raise AttuneError(
            f"expected interactions of {day} in {', '.join(map(str, files))}, found no rows; "
            "write the day's rows, or remove the files if nothing happened"
        )


def _forget(settings: Settings, gone: list[Partition]) -> None:
    """Let no later day be judged by days that were withdrawn."""
    for day in gone:
        reused_ids.forget(settings, day)


def _withdraw(settings: Settings, gone: list[Partition]) -> None:
    """Remove what landed of days that were withdrawn; the manifest last, so that a crash is made up for."""
    for day in gone:
        for name in RAW_TABLES:
            (settings.landed_dir(name) / f"dt={day}" / PART).unlink(missing_ok=True)
            (settings.quarantine_dir(day) / f"{name}.parquet").unlink(missing_ok=True)
        manifest_path(settings, day).unlink()


def _report(
    settings: Settings,
    raw: RawDays,
    partition: Partition,
    before: list[Partition],
    gone: list[Partition],
    progress: _Progress,
) -> LandingReport:
    done = sorted(progress.done)
    types = {
        name: {what: rows[what] for what in ("landed", "quarantined")} for name, rows in sorted(progress.types.items())
    }
    empty = landing_notes.empty_days(raw, partition, done)
    notes = (
        *landing_notes.of_changes(done, gone, before),
        *landing_notes.of_losses(types, progress.quarantined),
        *landing_notes.of_erased(progress.erased),
        *landing_notes.of_empty(empty),
        *landing_notes.of_refused(progress.refused, before),
        *landing_notes.of_unfinished(raw, partition),
        *landing_notes.of_far_ahead(raw),
    )
    for note in notes:
        logger.warning("%s", note)
    return LandingReport(
        partition=str(partition),
        landed=tuple(str(day) for day in done if day not in before),
        relanded=tuple(str(day) for day in done if day in before),
        rows=dict(progress.rows),
        quarantined=dict(progress.quarantined),
        erased=progress.erased,
        types=types,
        empty=tuple(map(str, empty)),
        refused={str(day): str(error) for day, error in sorted(progress.refused.items())},
        notes=notes,
    )
