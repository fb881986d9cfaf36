"""Take entries in: rows that keep the contract, each event once; the rest become dead letters with their reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, TypeAlias

import pyarrow as pa

from serving_export.stream.checks import check_rows, letter, parse
from serving_export.stream.entries import STREAMED, Entry
from serving_export.stream.landed import LandedEvents, taken_sign_ups
from serving_export.stream.state import DeadLetter, Event, SignUp, State
from training.contracts.columns import RAW_INTERACTIONS, RAW_USERS
from training.contracts.partitions import Partition
from training.ingest.row_checks import CONFLICTING_DUPLICATE, REMEDIES
from training.settings import Settings

Kept: TypeAlias = tuple[Entry, str, tuple[Any, ...]]
"""An entry whose row keeps the contract, its arrival day, and values of the row."""
_EVENT = Event._fields[:-2]


@dataclass
class Taken:
    """What entries came to: new events and users of whom a row came, dead letters, and how many of each outcome."""

    events: list[Event] = field(default_factory=list)
    signed_up: list[str] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


class Intake:
    """Judge entries as the daily logs are judged, and store what is new of them."""

    def __init__(self, settings: Settings, landed: LandedEvents) -> None:
        """Judge by a home's settings and by what landed in it."""
        self._settings, self._landed = settings, landed

    def take(self, state: State, entries: Sequence[Entry], partitions: Sequence[str]) -> Taken:
        """Store what is new of entries, inside the caller's transaction, and return it.

        Args:
            state: The part's state.
            entries: In the order of the stream.
            partitions: The days of the snapshots that rows are kept over: what all of their batches have is not stored.
        """
        taken = Taken()
        parsed, taken.dead = parse(entries)
        _drop_erased(state, parsed, taken)
        events = self._checked(RAW_INTERACTIONS.name, _EVENT, parsed, taken)
        sign_ups = self._checked(RAW_USERS.name, RAW_USERS.column_names, parsed, taken)
        self._take_events(state, events, partitions, taken)
        self._take_sign_ups(state, sign_ups, partitions, taken)
        state.bury(taken.dead)
        taken.counts["dead"] += len(taken.dead)
        return taken

    def _checked(
        self, name: str, columns: Sequence[str], parsed: Mapping[str, list[tuple[Entry, dict[str, Any]]]], taken: Taken
    ) -> list[Kept]:
        """Return columns of the rows of a table that keep the contract, typed, times in microseconds since 1970."""
        found: list[Kept] = []
        for arrived_on, group in groupby(parsed[name], key=lambda pair: pair[0].arrived_on):
            pairs = list(group)
            checked = check_rows(self._settings, STREAMED[name], [row for _, row in pairs], arrived_on)
            taken.dead += [letter(pairs[r.row][0], r.reason, r.column, r.remedy) for r in checked.refused]
            rows, day = _in_micros(checked.rows), str(arrived_on)
            values = zip(*(rows[name].to_pylist() for name in columns), strict=True)
            found += [(pairs[n][0], day, row) for n, row in zip(checked.numbers, values, strict=True)]
        return found

    def _take_events(self, state: State, found: list[Kept], partitions: Sequence[str], taken: Taken) -> None:
        known = state.known_events([row[0] for *_, row in found])
        fresh: list[Event] = []
        for entry, day, row in found:
            event = Event._make((*row, day, None))
            first = known.get(event.event_id)
            if first is None:
                known[event.event_id] = event
                fresh.append(event)
            elif first.content == event.content:
                taken.counts["repeated"] += 1
            else:
                remedy = REMEDIES[CONFLICTING_DUPLICATE]
                taken.dead.append(letter(entry, CONFLICTING_DUPLICATE, "event_id", remedy))
        taken.events = self._not_in_every_batch(fresh, partitions)
        taken.counts["in_batch"] += len(fresh) - len(taken.events)
        taken.counts["taken"] += len(taken.events)
        state.add_events(taken.events)

    def _not_in_every_batch(self, events: list[Event], partitions: Sequence[str]) -> list[Event]:
        """Return the events that some served batch does not have, each with the day on which it landed, if it has."""
        if not partitions or not events:
            return events
        days = self._landed.days_of(events, Partition.parse(max(partitions)))
        dated = [
            event if day is None else event._replace(batch_day=day) for event, day in zip(events, days, strict=True)
        ]
        return [event for event in dated if event.batch_day is None or event.batch_day > min(partitions)]

    def _take_sign_ups(self, state: State, found: list[Kept], partitions: Sequence[str], taken: Taken) -> None:
        newest: dict[str, SignUp] = {}
        for _, day, values in found:
            row = dict(zip(RAW_USERS.column_names, values, strict=True))
            one = SignUp(row["user_id"], row["valid_from"], row, day)
            if one.user_id not in newest or newest[one.user_id].valid_from < one.valid_from:
                newest[one.user_id] = one
        if partitions:
            until = Partition.parse(max(partitions))
            for user_id, landed_on in list(taken_sign_ups(self._settings, newest.values(), until)):
                newest[user_id] = replace(newest[user_id], batch_day=landed_on)
        kept = [one for one in newest.values() if not partitions or (one.batch_day or "9") > min(partitions)]
        state.put_sign_ups(kept)
        taken.signed_up = [one.user_id for one in kept]
        taken.counts["in_batch"] += len(newest) - len(kept)
        taken.counts["taken"] += len(found) - (len(newest) - len(kept))


def _drop_erased(state: State, parsed: dict[str, list[tuple[Entry, dict[str, Any]]]], taken: Taken) -> None:
    """Leave out the rows of erased users; asked for inside the transaction, before which an erasure ends or begins."""
    tombstones = state.erased.read()
    for name, pairs in parsed.items() if tombstones else ():
        erased = tombstones.among([str(row.get("user_id")) for _, row in pairs])
        parsed[name] = [pair for pair, is_erased in zip(pairs, erased, strict=True) if not is_erased]
        taken.counts["erased"] += sum(erased)


def _in_micros(rows: pa.Table) -> pa.Table:
    times = [i for i, one in enumerate(rows.schema) if pa.types.is_timestamp(one.type)]
    for index in times:
        rows = rows.set_column(index, rows.schema.field(index).name, rows.column(index).cast(pa.int64()))
    return rows
