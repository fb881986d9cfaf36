"""Put in words what a landing found, and refuse a day that has not arrived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from training.contracts.columns import RAW_INTERACTIONS
from training.contracts.errors import AttuneError, MissingArtefact
from training.contracts.partitions import Partition
from training.ingest.arrivals import is_far_ahead
from training.ingest.landed_days import RawDays
from training.settings import Settings

_NAMED = 5
"""Of many days a note names so many."""


def require_arrival(settings: Settings, raw: RawDays, partition: Partition) -> None:
    """Refuse a day that was not delivered whole, or of which, and after which, nothing arrived.

    Raises:
        MissingArtefact: It has not arrived; the message names the folder and the newest day.
    """
    if lacks := raw.lacks(partition):
        raise MissingArtefact(f"expected {partition} to have arrived whole, found that {lacks}")
    interactions = raw.tables[RAW_INTERACTIONS.name]
    arrived = [day for day, found in interactions.items() if found.is_whole and not is_far_ahead(day)]
    newest = arrived[-1] if arrived else None
    if newest is not None and newest >= partition:
        return  # where it has no files, a day on which nothing happened: what comes after it is here
    why = f"{partition} lies after tomorrow by this machine's clock; " if is_far_ahead(partition) else ""
    found = "files" if raw.paths(RAW_INTERACTIONS.name, partition) else "none"
    raise MissingArtefact(
        f"expected Parquet files in {settings.raw_dir(RAW_INTERACTIONS.name) / f'dt={partition}'}, found {found}; {why}"
        + (f"the newest day that arrived is {newest}" if newest else "no day has arrived yet: import or simulate logs")
    )


def empty_days(raw: RawDays, partition: Partition, landed: Sequence[Partition]) -> list[Partition]:
    """Return the days without interactions that this landing took as days on which nothing happened.

    They are `partition` itself, and those between the days that have just landed and the arrived days before them.
    """
    arrived = {day for day, found in raw.tables[RAW_INTERACTIONS.name].items() if found.paths}
    newly = [day for day in landed if day <= partition and day in arrived]
    earlier = [day for day in arrived if newly and day < newly[0]]
    start = max(earlier) if earlier else newly[0] if newly else partition
    calendar = [start.shift(number) for number in range((partition.day - start.day).days + 1)]
    return [day for day in calendar if day not in arrived and not raw.lacks(day)]


def of_changes(done: Sequence[Partition], gone: Sequence[Partition], before: Sequence[Partition]) -> tuple[str, ...]:
    """Say which days were withdrawn, and what to build again where days before the newest landed one changed."""
    notes = []
    if gone:
        notes.append(f"{_days(gone)}: withdrawn, and what had landed with it")
    changed = sorted({*done, *gone})
    if changed and before and changed[0] < before[-1]:
        first, last = changed[0], before[-1]
        notes.append(
            f"raw logs of {first} changed or arrived after {last} had landed; partitions from {first} to {last} that "
            f"are already built lack them: backfill build_user_features from {first} to {last} with reprocessing"
        )
    return tuple(notes)


def of_losses(types: Mapping[str, Mapping[str, int]], quarantined: Mapping[str, int]) -> tuple[str, ...]:
    """Say how many rows were quarantined and why, and which event types lost most of theirs."""
    if not quarantined:
        return ()
    reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(quarantined).most_common())
    lossy = {name: rows for name, rows in types.items() if rows["quarantined"]}
    shares = {name: rows["quarantined"] / (rows["quarantined"] + rows["landed"]) for name, rows in lossy.items()}
    worst = sorted(lossy, key=lambda name: (-shares[name], name))[:_NAMED]
    told = [f"{name} {lossy[name]['quarantined']} of {sum(lossy[name].values())}" for name in worst]
    of_types = f"; by event type: {', '.join(told)}" + (", ..." if len(lossy) > _NAMED else "") if told else ""
    return (f"{sum(quarantined.values())} rows were quarantined: {reasons}{of_types}",)


def of_erased(rows: int) -> tuple[str, ...]:
    """Say how many rows came of users who have been erased."""
    if not rows:
        return ()
    return (f"{rows} rows of erased users were dropped; the next `erase --now` or daily run takes them out of raw",)


def of_empty(days: Sequence[Partition]) -> tuple[str, ...]:
    """Say which days were taken as days on which nothing happened."""
    return (f"{_days(days)}: no interactions, taken as empty since later ones have arrived",) if days else ()


def of_refused(refused: Mapping[Partition, AttuneError], before: Sequence[Partition]) -> tuple[str, ...]:
    """Say which days could not land, what is kept of them, and why."""
    kept = {True: "keeps what landed of it before", False: "has not landed"}
    return tuple(f"{day} {kept[day in before]}: {error}" for day, error in sorted(refused.items()))


def of_unfinished(raw: RawDays, partition: Partition) -> tuple[str, ...]:
    """Say which days up to `partition` were begun and not delivered whole."""
    return tuple(f"{day} has not arrived: {raw.lacks(day)}" for day in raw.days(partition) if raw.lacks(day))


def of_far_ahead(raw: RawDays) -> tuple[str, ...]:
    """Say which days lie too far ahead to be believed."""
    days = [day for day in raw.days() if is_far_ahead(day)]
    if not days:
        return ()
    return (f"{_days(days)}: after tomorrow by this machine's clock, so left alone; correct the producer's dates",)


def _days(days: Sequence[Partition]) -> str:
    named = ", ".join(map(str, days[:_NAMED]))
    return f"{len(days)} days ({named}, ...)" if len(days) > _NAMED else named
