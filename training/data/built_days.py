"""Know which arrival days the warehouse holds, and whether they still match what has landed.

The fingerprint of a day is a chain over every landed day up to it, since a redelivery is dropped by what
arrived before: when an old day is landed anew, it and every later day count as unbuilt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date

import duckdb

from training.contracts.partitions import Partition
from training.settings import Settings
from training.storage import PART, list_partitions

_SCHEMA = """
create schema if not exists bookkeeping;
create table if not exists bookkeeping.built_days (day date primary key, fingerprint varchar, exported varchar);
create table if not exists bookkeeping.snapshot (partition date);
"""


def landed_fingerprints(settings: Settings, until: Partition) -> dict[Partition, str]:
    """Return the chained content hash of every calendar day from the first landed one to `until`, inclusive."""
    folder = settings.landed_dir("interactions")
    landed = [day for day in list_partitions(folder) if day <= until] if folder.is_dir() else []
    chain, days = "", {}
    for day in _calendar(landed[0], until) if landed else ():
        path = folder / f"dt={day}" / PART
        if path.exists():
            chain = hashlib.sha256(chain.encode() + path.read_bytes()).hexdigest()
        days[day] = chain
    return days


def unbuilt_range(settings: Settings, until: Partition) -> tuple[Partition, Partition] | None:
    """Return the first and last day whose facts must be built for `until`, or None when all match.

    A warehouse without facts needs at least `until` itself, even if nothing has landed.
    """
    landed, built = landed_fingerprints(settings, until), _built(settings)
    if not built and not landed:
        return until, until
    stale = [day for day, fingerprint in landed.items() if built.get(day) != fingerprint]
    stale += [day for day in built if day <= until and day not in landed and built[day]]
    return (min(stale), until) if stale else None


def record_built(settings: Settings, first: Partition, last: Partition, snapshot: Partition) -> None:
    """Record that the facts of [first, last] and the snapshot of `snapshot` match what has landed."""
    landed = landed_fingerprints(settings, last)
    rows = [(day.day, landed.get(day, "")) for day in _calendar(first, last)]
    with _connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("begin")
        cursor.executemany("insert or replace into bookkeeping.built_days values (?, ?, null)", rows)
        cursor.execute("commit")
    record_snapshot(settings, snapshot)


def record_snapshot(settings: Settings, snapshot: Partition | None) -> None:
    """Record whose complete snapshot the feature marts hold; None while they are being rebuilt."""
    with _connect(settings) as connection:
        connection.execute("delete from bookkeeping.snapshot")
        if snapshot is not None:
            connection.execute("insert into bookkeeping.snapshot values (?)", [snapshot.day])


def current_snapshot(settings: Settings) -> Partition | None:
    """Return whose snapshot the feature marts hold, or None."""
    if not settings.warehouse_path.exists():
        return None
    with _connect(settings) as connection:
        row = connection.execute("select max(partition) from bookkeeping.snapshot").fetchone()
    return Partition(row[0]) if row and row[0] else None


def unexported_days(settings: Settings, until: Partition, since: Partition | None = None) -> list[Partition]:
    """Return the built days up to `until` whose file is missing or stale, and all from `since` on."""
    with _connect(settings) as connection:
        rows: list[tuple[date, bool]] = connection.execute(
            "select day, exported is distinct from fingerprint from bookkeeping.built_days where day <= ? order by day",
            [until.day],
        ).fetchall()
    return [
        Partition(day)
        for day, changed in rows
        if changed
        or (since is not None and since.day <= day)
        or not (settings.features_dir("interactions", Partition(day)) / PART).exists()
    ]


def record_exported(settings: Settings, days: list[Partition]) -> None:
    """Record that the files of `days` hold the warehouse's rows."""
    if not days:
        return
    with _connect(settings) as connection:
        connection.execute(
            "update bookkeeping.built_days set exported = fingerprint where day in (select unnest(?))",
            [[day.day for day in days]],
        )


def matching_days(settings: Settings) -> dict[Partition, bool]:
    """Return the built days that match what has landed, and of each whether its exported file does too."""
    built = _built(settings)
    landed = landed_fingerprints(settings, max(built)) if built else {}
    if not landed:
        return {}
    with _connect(settings) as connection:
        rows = connection.execute("select day, exported = fingerprint from bookkeeping.built_days").fetchall()
    exported = {Partition(day): bool(same) for day, same in rows}
    return {day: exported[day] for day, fingerprint in landed.items() if built.get(day) == fingerprint}


def record_matching(settings: Settings, days: Mapping[Partition, bool]) -> None:
    """Record that days still match what has landed, after rows of erased users went from both alike.

    Args:
        settings: Names the home.
        days: What `matching_days` returned before.
    """
    if not days:
        return
    landed = landed_fingerprints(settings, max(days))
    rows = [(landed[day], landed[day] if exported else None, day.day) for day, exported in days.items()]
    with _connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("begin")
        cursor.executemany("update bookkeeping.built_days set fingerprint = ?, exported = ? where day = ?", rows)
        cursor.execute("commit")


def _built(settings: Settings) -> dict[Partition, str]:
    if not settings.warehouse_path.exists():
        return {}
    with _connect(settings) as connection:
        rows = connection.execute("select day, fingerprint from bookkeeping.built_days").fetchall()
    return {Partition(day): fingerprint for day, fingerprint in rows}


def _connect(settings: Settings) -> duckdb.DuckDBPyConnection:
    settings.warehouse_path.parent.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(str(settings.warehouse_path))
    connection.execute(_SCHEMA)
    return connection


def _calendar(first: Partition, last: Partition) -> list[Partition]:
    return [first.shift(offset) for offset in range((last.day - first.day).days + 1)]
