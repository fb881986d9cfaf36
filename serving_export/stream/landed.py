"""Know which events and sign-ups the daily logs hold, so that what comes both ways is counted once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from serving_export.stream.state import Event, SignUp
from training.contracts.partitions import Partition
from training.ingest.event_hashes import hashed_ids
from training.settings import Settings
from training.storage import PART, list_partitions

Hashes = npt.NDArray[np.uint64]
GIVE_UP_DAYS = 3
"""Days after which an event that no log holds is taken for lost there: the batch is the truth of the past."""
_DAYS_HELD = 8


class LandedEvents:
    """The ids of landed events, by day; a day that landed again is read again."""

    def __init__(self, settings: Settings) -> None:
        """Read below `settings.landed_dir`."""
        self._folder = settings.landed_dir("interactions")
        self._held: dict[Partition, tuple[tuple[int, int], Hashes]] = {}

    def days_of(self, events: Sequence[Event], until: Partition) -> list[str | None]:
        """Return the day with which each event landed, up to `until`; None where no log holds it.

        No event lands before the day on which it occurred.
        """
        found: list[str | None] = [None] * len(events)
        first = _day(min((event.occurred_at for event in events), default=0))
        if not events or first > until.day:
            return found
        hashes = hashed_ids(pa.table({"event_id": pa.array([event.event_id for event in events], pa.string())}))
        for day in list_partitions(self._folder) if self._folder.is_dir() else []:
            if first <= day.day <= until.day:
                for row in np.flatnonzero(self._holds(day, hashes)).tolist():
                    found[row] = found[row] or str(day)
        return found

    def _holds(self, day: Partition, hashes: Hashes) -> npt.NDArray[np.bool_]:
        landed = self._hashes(day)
        if not len(landed):
            return np.zeros(len(hashes), bool)
        places = np.minimum(np.searchsorted(landed, hashes), len(landed) - 1)
        return np.asarray(landed[places] == hashes, bool)

    def _hashes(self, day: Partition) -> Hashes:
        path = self._folder / f"dt={day}" / PART
        stat = path.stat()
        mark = stat.st_ino, stat.st_mtime_ns
        held = self._held.get(day)
        if held is None or held[0] != mark:
            rows = pq.read_table(path, columns=["event_id"], partitioning=None)
            self._held[day] = held = mark, np.sort(hashed_ids(rows))
            for old in sorted(self._held)[:-_DAYS_HELD]:
                del self._held[old]
        return held[1]


def taken_events(landed: LandedEvents, events: Sequence[Event], until: Partition) -> Iterator[tuple[str, str]]:
    """Yield the ids of events that the batch of `until` has, or will never have, with the day that says so."""
    for event, day in zip(events, landed.days_of(events, until), strict=True):
        if day or _is_given_up(event.arrived_on, until):
            yield event.event_id, day or str(until)


def taken_sign_ups(settings: Settings, sign_ups: Iterable[SignUp], until: Partition) -> Iterator[tuple[str, str]]:
    """Yield the users whose row, or a later one of theirs, the batch of `until` has or will never have."""
    waiting = {one.user_id: one for one in sign_ups}
    if not waiting:
        return
    for path, day in _landed_users(settings, min(_day(one.valid_from) for one in waiting.values()), until):
        rows = pq.read_table(path, columns=["user_id", "valid_from"], partitioning=None)
        times = rows["valid_from"].cast(pa.int64()).to_pylist()
        for user_id, valid_from in zip(rows["user_id"].to_pylist(), times, strict=True):
            if user_id in waiting and valid_from >= waiting[user_id].valid_from:
                del waiting[user_id]
                yield user_id, str(day)
    yield from ((one.user_id, str(until)) for one in waiting.values() if _is_given_up(one.arrived_on, until))


def _landed_users(settings: Settings, first: date, until: Partition) -> Iterator[tuple[Path, Partition]]:
    folder = settings.landed_dir("users")
    for day in list_partitions(folder) if folder.is_dir() else []:
        if first <= day.day <= until.day:
            yield folder / f"dt={day}" / PART, day


def _is_given_up(arrived_on: str, until: Partition) -> bool:
    return Partition.parse(arrived_on).shift(GIVE_UP_DAYS) <= until


def _day(micros: int) -> date:
    return datetime.fromtimestamp(micros / 1e6, UTC).date()
