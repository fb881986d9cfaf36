"""Hold the running features of the users who did something since a batch, and lay them out as the encoder reads them.

Shape legend: U users, A activity columns, W windows, K columns of both modalities.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from serving_export.stream.batch import ACTIVITY, Batch
from serving_export.stream.running import RunningUser, activity_of
from serving_export.stream.state import Event, SignUp, State
from training.arrays import Floats
from training.contracts.columns import MODALITIES, TASTE_WINDOWS_DAYS
from training.representation.inputs import ACTIVITY_COLUMNS, STATIC_COLUMNS, InputColumns
from training.representation.taste import onboarding_columns

USERS_HELD = 50_000
"""Users whose running features stay in memory; others start anew from the batch and their stored events."""

_AS_READ = [(*ACTIVITY, "tenure_days").index(name) for name in ACTIVITY_COLUMNS]


@dataclass
class _Held:
    running: RunningUser
    onboarding: tuple[Floats, int]


class RunningFeatures:
    """Features of one partition and item space, kept running by a part's events."""

    def __init__(self, batch: Batch) -> None:
        """Begin with nobody in memory."""
        self.batch = batch
        self._held: OrderedDict[str, _Held] = OrderedDict()

    def is_open(self, event: Event) -> bool:
        """Return whether an event is not in the batch."""
        return event.batch_day is None or event.batch_day > str(self.batch.partition)

    def take(self, state: State, events: Sequence[Event], signed_up: Iterable[str] = ()) -> None:
        """Take in events, which are stored already, in the order of their time: the least that starts anyone anew.

        Args:
            state: Where whoever is not in memory is read from.
            events: New ones, in any order.
            signed_up: Users of whom a row came: they start anew.
        """
        for user_id in signed_up:
            self._held.pop(user_id, None)
        fresh = {event.user_id for event in events} - self._held.keys()
        for event in sorted(events, key=lambda event: (event.occurred_at, event.event_id)):
            held = self._held.get(event.user_id)
            if held is not None and self.is_open(event) and not held.running.add(event):
                del self._held[event.user_id]
                fresh.add(event.user_id)
        self._start(state, sorted(fresh))

    def users(self, state: State, user_ids: Sequence[str]) -> list[RunningUser]:
        """Return users' running features, in order."""
        self._start(state, [user_id for user_id in user_ids if user_id not in self._held])
        for user_id in user_ids:
            self._held.move_to_end(user_id)
        return [self._held[user_id].running for user_id in user_ids]

    def inputs(self, user_ids: Sequence[str]) -> InputColumns:
        """Return what the encoder reads of users who are in memory."""
        held = [self._held[user_id] for user_id in user_ids]
        sums_UWK = np.stack([one.running.taste_WK for one in held])
        counts_UW = sums_UWK[:, :, -1]
        means_UWK = (sums_UWK[:, :, :-1] / np.maximum(counts_UW, 1)[:, :, None]).astype(np.float32)
        picks_UK = np.stack([one.onboarding[0] for one in held])
        halves = [(name, self.batch.width * n, self.batch.width * (n + 1)) for n, name in enumerate(MODALITIES)]
        windows = list(enumerate(TASTE_WINDOWS_DAYS))
        taste = {f"taste_{name}_{w}": means_UWK[:, n, start:stop] for n, w in windows for name, start, stop in halves}
        picks = {f"onboarding_{name}": picks_UK[:, start:stop] for name, start, stop in halves}
        counts = {f"count_taste_{window}": counts_UW[:, n] for n, window in windows}
        activity_UA = activity_of([one.running for one in held])
        tenure_U = np.array([float(one.running.profile["tenure_days"]) for one in held])
        return InputColumns(
            vectors={**taste, **picks},
            counts={**counts, "count_onboarding": np.array([float(one.onboarding[1]) for one in held])},
            statics={name: [one.running.profile[name] for one in held] for name in STATIC_COLUMNS},
            activity_UA=np.hstack([activity_UA, tenure_U[:, None]])[:, _AS_READ],
        )

    def trim(self) -> None:
        """Forget the users of longest ago beyond `USERS_HELD`."""
        while len(self._held) > USERS_HELD:
            self._held.popitem(last=False)

    def hold(
        self, user_ids: Sequence[str], events: dict[str, list[Event]], sign_ups: dict[str, SignUp], as_of: int = 0
    ) -> None:
        """Start users anew from the batch and those of their events that it does not have.

        Args:
            user_ids: Whose.
            events: Their events in the order of time.
            sign_ups: Their rows that came since the batch.
            as_of: Microseconds since 1970; see `RunningUser`.
        """
        known = self.batch.users(list(user_ids))
        for user_id in user_ids:
            own = [event for event in events.get(user_id, ()) if self.is_open(event)]
            running = RunningUser(self.batch, known.get(user_id), sign_ups.get(user_id), own, as_of)
            picks = np.zeros(2 * self.batch.width, np.float32), 0
            if user_id in known:
                picks = known[user_id].picks, int(known[user_id].values["count_onboarding"])
            self._held[user_id] = _Held(running, picks)
        self._pool_picks([user_id for user_id in user_ids if user_id in sign_ups])

    def _start(self, state: State, user_ids: list[str]) -> None:
        if user_ids:
            self.hold(user_ids, state.events_of(user_ids), state.sign_ups_of(user_ids))

    def _pool_picks(self, user_ids: list[str]) -> None:
        if not user_ids:
            return
        strings = pa.list_(pa.string())
        profiles = [self._held[user_id].running.profile for user_id in user_ids]
        names = ("onboarding_item_ids", "onboarding_categories")
        table = pa.table({name: pa.array([profile[name] for profile in profiles], strings) for name in names})
        columns = onboarding_columns(table, self.batch.items)
        halves = [np.asarray(columns[f"onboarding_{m}"].flatten()).reshape(len(user_ids), -1) for m in MODALITIES]
        for user_id, picks, count in zip(
            user_ids, np.hstack(halves), columns["count_onboarding"].to_pylist(), strict=True
        ):
            self._held[user_id].onboarding = picks, count
