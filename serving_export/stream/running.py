"""Keep one user's features running: what the batch knew, and every event since, each at O(width).

What fell out of a window since the batch is taken out when a user's features start anew, once a day, from the newest
`HISTORY_LENGTH` events of the batch. What this leaves to the batch: users of whom more than so many events lie in a
window, whose older ones stay counted until then; sessions that leave the 30 days, since the history does not name them;
and the bot filter. Parity is measured when the batch has the same events (`stream.parity`).

Shape legend: U users, A activity columns, W windows, K = 2 D + 1 columns (both modalities, then the count), D item
vector width.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import numpy as np

from serving_export.stream.batch import ACTIVITY, Batch, BatchUser
from serving_export.stream.state import Event, SignUp
from training.arrays import Doubles
from training.contracts.columns import (
    ACTIVITY_WINDOWS_DAYS,
    EVENT_TYPES,
    TASTE_WINDOWS_DAYS,
)

DAY_US = 86_400_000_000
SESSION_GAP_US = 30 * 60 * 1_000_000
"""As `session_gap_minutes` in dbt_project.yml."""
PROFILE = ("country", "language", "age_band", "gender", "occupation")
_AT = {name: place for place, name in enumerate(ACTIVITY)}
_SHARES = [_AT[f"share_{name}_180d"] for name in ("night", "morning", "afternoon", "evening", "weekend")]
_WEEKEND = 4
_COUNTS = {
    (event_type, first): np.array([_AT[f"count_{event_type}_{days}d"] for days in ACTIVITY_WINDOWS_DAYS[first:]], int)
    for event_type in EVENT_TYPES
    for first in range(len(ACTIVITY_WINDOWS_DAYS) + 1)
}
_ACTIVE_DAYS = [
    np.array([_AT[f"count_active_days_{days}d"] for days in ACTIVITY_WINDOWS_DAYS[first:]], int)
    for first in range(len(ACTIVITY_WINDOWS_DAYS) + 1)
]
_ITEMS, _SESSIONS = _AT["count_items_180d"], _AT["count_sessions_30d"]
_BY_WINDOW = {
    days: [place for name, place in _AT.items() if name.endswith(f"_{days}d")] for days in ACTIVITY_WINDOWS_DAYS
}
_HALF_YEAR = [_AT[f"count_{event_type}_180d"] for event_type in EVENT_TYPES]
_MONTH = [_AT[f"count_{event_type}_30d"] for event_type in EVENT_TYPES]
# ascending, so that the windows which an event of some age lies outside of are found by bisection
_TASTE_US = [math.inf if days is None else days * DAY_US for days in TASTE_WINDOWS_DAYS.values()]
_ACTIVITY_US = [days * DAY_US for days in ACTIVITY_WINDOWS_DAYS]


class RunningUser:
    """One user's features as of the end of the day of their newest event, or of the batch where there is none since."""

    def __init__(
        self, batch: Batch, known: BatchUser | None, sign_up: SignUp | None, events: Sequence[Event], as_of: int = 0
    ) -> None:
        """Start from the batch and take in events in the order of their time.

        Args:
            batch: What the batch knew.
            known: The user's part of it; None for one that it does not know.
            sign_up: A row of the user that came since.
            events: What came since.
            as_of: Microseconds since 1970; later ends of days than the events tell count where a caller knows one.
        """
        self._batch = batch
        self.newest = max((event.occurred_at for event in events), default=0)
        self._signed_up_at = sign_up.valid_from if sign_up else 0
        batch_end = micros(batch.partition.as_of)
        self.as_of = max(batch_end, _day_end(self.newest), as_of, _day_end(sign_up.valid_from) if sign_up else 0)
        days_since = (self.as_of - batch_end) // DAY_US
        values = known.values if known else {}
        self.num_events = int(known.activity_A[_AT["count_events_all"]]) if known else 0
        self.had_history = self.num_events > 0
        self.new_items: list[str] = []
        self._start_profile(values, sign_up, events, days_since)
        self._start_taste(known, days_since)
        self._start_activity(known, days_since)
        for event in events:
            self._take(event)

    def add(self, event: Event) -> bool:
        """Take in one more event; False where all is to start anew: it is of a later day, or older than another.

        So features are a function of the events alone, in whatever order they came.
        """
        if not self.newest <= event.occurred_at < self.as_of:
            return False
        self.newest = event.occurred_at
        self._take(event)
        return True

    @property
    def changed_at(self) -> int:
        """When the newest of what came since the batch was, microseconds since 1970."""
        return max(self.newest, self._signed_up_at)

    @property
    def last(self) -> float:
        """When the newest event was, microseconds since 1970; the sign-up, for one who has none."""
        return self.newest or self._last_before

    def diversity(self) -> tuple[float, float]:
        """Return how many categories the half year's events have and the entropy of their shares, in nats."""
        total = self._categories.total()
        return float(len(self._categories)), max(math.log(total) - self._weight / total, 0.0) if total else 0.0

    def _start_profile(
        self, values: dict[str, Any], sign_up: SignUp | None, events: Sequence[Event], days_since: int
    ) -> None:
        row = sign_up.profile if sign_up else values
        self.profile: dict[str, Any] = {name: row.get(name) or "unknown" for name in PROFILE}
        self.profile["onboarding_item_ids"] = row.get("onboarding_item_ids") or []
        self.profile["onboarding_categories"] = row.get("onboarding_categories") or []
        first = min((event.occurred_at for event in events), default=sign_up.valid_from if sign_up else self.as_of)
        self._known_since = row.get("signed_up_at") or first
        fresh = max(self.as_of - self._known_since, 0) // DAY_US
        self.profile["tenure_days"] = values["tenure_days"] + days_since if values else fresh

    def _start_taste(self, known: BatchUser | None, days_since: int) -> None:
        shape = len(TASTE_WINDOWS_DAYS), 2 * self._batch.width + 1
        self.taste_WK: Doubles = known.taste_WK.copy() if known else np.zeros(shape)
        for index, days in enumerate(TASTE_WINDOWS_DAYS.values()):
            if days is not None and days <= days_since:
                self.taste_WK[index] = 0.0

    def _start_activity(self, known: BatchUser | None, days_since: int) -> None:
        values = known.values if known else {}
        self.activity_A: Doubles = known.activity_A.copy() if known else np.zeros(len(ACTIVITY))
        self.hours: Doubles = self.activity_A[_SHARES] * self.activity_A[_HALF_YEAR].sum()
        recency_us = float(self.activity_A[_AT["recency_days"]]) * DAY_US
        batch_end = micros(self._batch.partition.as_of)
        self._last_before = batch_end - recency_us if known else self._known_since
        for days in ACTIVITY_WINDOWS_DAYS:
            if days <= days_since:
                self.activity_A[_BY_WINDOW[days]] = 0.0
        times: list[int] = values.get("history_occurred_at", [])
        names = values.get("history_item_ids", ()), values.get("history_event_types", ())
        history = list(zip(*names, times, strict=True))
        self._days = set(_days_of(times))
        start = self.as_of - _ACTIVITY_US[-1]
        recent = [item for item, _, at in history if at >= start]
        self._items = set(recent)
        self._categories = Counter(filter(None, map(self._batch.categories.get, recent)))
        self._weight = sum(map(_weight, self._categories.values()))
        self._sessions: set[str] = set()
        self._session_at = 0
        if days_since:
            self._expire(history, batch_end, days_since)

    def _expire(self, history: list[tuple[str, str, int]], batch_end: int, days_since: int) -> None:
        """Take out what lay inside a window as of the batch and does not now; windows that ended whole are zero."""
        for index, days in enumerate(TASTE_WINDOWS_DAYS.values()):
            if days is not None and days > days_since:
                for item, _, _ in _leavers(history, batch_end, self.as_of, days):
                    self.taste_WK[index] -= self._row(item)
        for place, days in enumerate(ACTIVITY_WINDOWS_DAYS):
            if days > days_since:
                left = _leavers(history, batch_end, self.as_of, days)
                for _, event_type, _ in left:
                    self.activity_A[_COUNTS[event_type, place][0]] -= 1
                self.activity_A[_ACTIVE_DAYS[place][0]] -= len(set(_days_of([at for _, _, at in left])))
        left = _leavers(history, batch_end, self.as_of, ACTIVITY_WINDOWS_DAYS[-1])
        self.activity_A[_ITEMS] -= len({item for item, _, _ in left} - self._items)
        for _, _, at in left:
            self._count_hour(at, -1)

    def _row(self, item_id: str) -> Doubles:
        """Return what one event adds, float64 [K]."""
        row: Doubles = self._batch.item_values[self._batch.item_rows.get(item_id, -1)]
        return row

    def _count_hour(self, at: int, number: int) -> None:
        self.hours[at % DAY_US // (DAY_US // 4)] += number
        if (at // DAY_US + 3) % 7 >= 5:  # the first of January 1970 was a Thursday
            self.hours[_WEEKEND] += number

    def _take(self, event: Event) -> None:
        age = self.as_of - event.occurred_at
        self.taste_WK[bisect_left(_TASTE_US, age) :] += self._row(event.item_id)
        self.num_events += 1
        self.new_items.append(event.item_id)
        first = bisect_left(_ACTIVITY_US, age)
        self.activity_A[_COUNTS[event.event_type, first]] += 1
        if first < len(_ACTIVITY_US):
            self._take_half_year(event, first)

    def _take_half_year(self, event: Event, first: int) -> None:
        at, activity = event.occurred_at, self.activity_A
        if at // DAY_US not in self._days:
            self._days.add(at // DAY_US)
            activity[_ACTIVE_DAYS[first]] += 1
        if event.item_id not in self._items:
            self._items.add(event.item_id)
            activity[_ITEMS] += 1
        if category := self._batch.categories.get(event.item_id):
            count = self._categories[category]
            self._categories[category] = count + 1
            self._weight += _weight(count + 1) - _weight(count)
        self._count_hour(at, 1)
        if first <= ACTIVITY_WINDOWS_DAYS.index(30) and self._starts_session(event):
            activity[_SESSIONS] += 1

    def _starts_session(self, event: Event) -> bool:
        if event.session_id is not None:
            is_new = event.session_id not in self._sessions
            self._sessions.add(event.session_id)
        else:
            is_new = event.occurred_at - self._session_at > SESSION_GAP_US
        self._session_at = max(self._session_at, event.occurred_at)
        return is_new


def activity_of(users: Sequence[RunningUser]) -> Doubles:
    """Return users' activity, float64 [U, A], `ACTIVITY`, rounded as the batch's."""
    found_UA = np.stack([user.activity_A for user in users])
    half_year = np.maximum(found_UA[:, _HALF_YEAR].sum(axis=1), 1.0)
    found_UA[:, _SHARES] = np.stack([user.hours for user in users]) / half_year[:, None]
    recency = [(user.as_of - user.last) / DAY_US for user in users]
    found_UA[:, _AT["recency_days"]] = np.maximum(recency, 0.0)
    found_UA[:, _AT["count_events_all"]] = [user.num_events for user in users]
    moved = [row for row, user in enumerate(users) if user.new_items]
    if moved:
        diversity = np.array([users[row].diversity() for row in moved])
        found_UA[np.ix_(moved, [_AT["count_categories_180d"], _AT["category_entropy_180d"]])] = diversity
        sessions = np.maximum(found_UA[moved, _SESSIONS], 1.0)
        found_UA[moved, _AT["session_length_mean_30d"]] = found_UA[np.ix_(moved, _MONTH)].sum(axis=1) / sessions
    return np.round(found_UA, 6)


def _leavers(history: list[tuple[str, str, int]], before: int, now: int, days: int) -> list[tuple[str, str, int]]:
    """Return the events, of a history in the order of time, that a window held as of one time and not as of a later."""
    start, stop = (bisect_left(history, at - days * DAY_US, key=itemgetter(2)) for at in (before, now))
    return history[start:stop]


def _days_of(times: Sequence[int]) -> list[int]:
    return [at // DAY_US for at in times]


def _weight(count: int) -> float:
    """Return n log n: entropy is log N less the mean of these, so that an event changes it at O(1)."""
    return count * math.log(count) if count else 0.0


def _day_end(micros: int) -> int:
    return (micros // DAY_US + 1) * DAY_US if micros else 0


def micros(at: datetime) -> int:
    """Return microseconds since 1970 of a time, UTC where it names no zone."""
    return round(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1_000_000)
