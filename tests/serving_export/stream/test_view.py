"""Without new events a user's row over a snapshot is the snapshot's; features are those of the batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from serving_export.lookup import EmbeddingStore
from serving_export.stream.batch import ACTIVITY, batch_path
from serving_export.stream.features import RunningFeatures
from serving_export.stream.running import DAY_US, RunningUser, micros
from serving_export.stream.state import Event, SignUp, State, state_path
from serving_export.stream.view import View, Views, view_key
from tests.serving_export.stream.conftest import Streamed, columns_of
from training.contracts.columns import TASTE_WINDOWS_DAYS

pytestmark = pytest.mark.walk


@pytest.fixture
def view(streamed: Streamed) -> View:
    return Views(streamed.settings).open(view_key(streamed.store.pointer.live))


@pytest.fixture
def state(streamed: Streamed) -> Iterator[State]:
    with closing(State(state_path(streamed.settings, 0))) as opened:
        yield opened


def click(user_id: str, item_id: str, at: int, number: int = 0) -> Event:
    return Event(f"e{number}", user_id, item_id, "click", None, at, None, None, "2026-02-13")


def test_a_user_without_new_events_has_the_snapshot_s_vector(streamed: Streamed, view: View, state: State) -> None:
    store: EmbeddingStore = streamed.store
    rows = view.rows(state, streamed.users)
    vectors = np.stack([np.frombuffer(row.vector, np.float32) for row in rows])
    found = store.lookup(streamed.users)
    np.testing.assert_allclose(vectors, found.vectors, rtol=1e-3, atol=1e-4)
    assert tuple(row.user_id for row in rows if row.is_virtual) == found.virtual
    items = store.snapshot.consumer("cold_start").items
    users = store.snapshot.consumer("cold_start").users
    for row in rows:
        if row.is_new:
            own = items.vectors @ np.frombuffer(row.ranker or b"", np.float32)
            np.testing.assert_allclose(own, items.vectors @ users.vectors[users.row(row.user_id)], rtol=1e-3, atol=1e-4)
    assert view.rows(state, []) == []


def test_a_new_user_s_features_are_counted_by_hand(streamed: Streamed, view: View) -> None:
    batch, start = view.features.batch, micros(view.features.batch.partition.as_of)
    items = streamed.items
    events = [
        click("x", items[0], start - 40 * DAY_US, 0),  # late: in the lifetime and half-year windows alone
        click("x", items[1], start + 6 * 3_600_000_000, 1),
        click("x", items[1], start + 6 * 3_600_000_000 + 1, 2),
        click("x", "never seen", start + 20 * 3_600_000_000, 3),
    ]
    user = RunningUser(batch, None, SignUp("x", start, {"country": "de"}, "2026-02-13"), events)
    found = columns_of(user)
    assert [found[f"count_click_{days}d"] for days in (1, 7, 30, 180)] == [3, 3, 3, 4]
    assert [found[f"count_active_days_{days}d"] for days in (1, 7, 30, 180)] == [1, 1, 1, 2]
    assert [found[f"count_taste_{window}"] for window in TASTE_WINDOWS_DAYS] == [3, 3, 4, 4]
    assert (found["count_items_180d"], found["count_events_all"], found["count_sessions_30d"]) == (3, 4, 2)
    assert (found["share_night_180d"], found["share_morning_180d"], found["share_evening_180d"]) == (0.25, 0.5, 0.25)
    assert found["recency_days"] == pytest.approx(4 / 24, abs=1e-6)
    assert (found["country"], found["language"], found["tenure_days"]) == ("de", "unknown", 41)
    expected = batch.item_values[batch.item_rows[items[1]], :-1] * 2
    np.testing.assert_allclose(user.taste_WK[0, :-1], expected)


def test_an_event_of_a_later_day_or_an_older_one_starts_anew(view: View) -> None:
    start = micros(view.features.batch.partition.as_of)
    user = RunningUser(view.features.batch, None, None, [click("x", "i", start + 5)])
    assert user.add(click("x", "i", start + 6))
    assert not user.add(click("x", "i", start + 5))
    assert not user.add(click("x", "i", start + DAY_US))
    assert user.add(click("x", "i", start + DAY_US - 1))


def test_who_was_forgotten_starts_from_the_stored_events(
    streamed: Streamed, view: View, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, users = micros(view.features.batch.partition.as_of), streamed.users[:3]
    events = [click(user, streamed.items[n], start + n, n) for n, user in enumerate(users)]
    with state.transaction():
        state.add_events(events)
    view.features.take(state, events)
    before = view.rows(state, users)
    monkeypatch.setattr("serving_export.stream.features.USERS_HELD", 1)
    view.features.trim()
    assert view.rows(state, users) == before
    fresh = view.over(RunningFeatures(view.features.batch))
    assert fresh.rows(state, users) == before


def test_events_that_come_together_start_nobody_anew_whatever_their_order(
    streamed: Streamed, view: View, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, user = micros(view.features.batch.partition.as_of), streamed.users[0]
    first, *later = [click(user, streamed.items[n], start + n, n) for n in range(9)]
    with state.transaction():
        state.add_events([first, *later])
    fresh = view.over(RunningFeatures(view.features.batch))
    expected = fresh.rows(state, [user])
    view.features.hold([user], {user: [first]}, {})
    monkeypatch.setattr(view.features, "hold", lambda *_: pytest.fail("a user has started anew"))
    view.features.take(state, later[::-1])
    assert view.rows(state, [user]) == expected


def test_a_partition_that_was_built_again_is_mapped_again(streamed: Streamed, view: View) -> None:
    settings, batch = streamed.settings, view.features.batch
    path = batch_path(settings, batch.partition, batch.item_space_id)
    assert path.exists()
    part = settings.features_dir("user_activity", batch.partition) / "part-0.parquet"
    os.utime(part, ns=(1, 1))
    assert batch_path(settings, batch.partition, batch.item_space_id) != path


def test_sums_are_means_times_counts(streamed: Streamed, view: View) -> None:
    known = view.features.batch.users([streamed.users[0], "nobody"])
    assert list(known) == [streamed.users[0]]
    [one] = known.values()
    assert one.taste_WK[-1, -1] == one.activity_A[ACTIVITY.index("count_events_all")]
    assert one.taste_WK.shape == (len(TASTE_WINDOWS_DAYS), 2 * view.features.batch.width + 1)
