"""A day is streamed on a small home, and no list knows what comes after it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from serving_export.bench import freshness
from serving_export.bench.freshness import Delivered, measure
from serving_export.bench.freshness_moments import Moments
from serving_export.bench.freshness_table import VECTORS
from serving_export.stream.features import RunningFeatures
from serving_export.stream.state import State
from serving_export.stream.view import View
from tests.training.representation.feature_home import two_tastes
from tests.training.representation.trained_home import LAST, SMALL
from training.arrays import Floats
from training.contracts.partitions import Partition
from training.data import feature_store
from training.settings import Settings
from training.storage import list_partitions

QUICK = replace(SMALL, seven_day=False, training=replace(SMALL.training, max_epochs=15))


@pytest.mark.integration
def test_a_moment_is_ranked_by_what_came_before_it_on_the_day(
    tmp_path: Path, fresh_mlflow: Callable[[Settings], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, today = two_tastes(tmp_path), LAST.shift(1)
    turned = [f"u{2 * number:03}" for number in range(20)]  # of the north, who meet the south from now on
    for number, user_id in enumerate(turned):
        for place in range(4):
            at = today.starts_at + timedelta(hours=8, minutes=place)
            world.add(user_id, f"i{20 + (number + place) % 20:02}", at)
    told = pd.DataFrame(world.events)[["user_id", "item_id"]]
    for user_id in ("new", "u001"):  # nothing was known of the one, and the other's day is not known
        for place in range(2):
            world.add(user_id, f"i{place:02}", today.starts_at + timedelta(hours=place))
    world.write_interactions(today, today)
    for one in (LAST, LAST.shift(-7)):
        world.write_snapshots(one)
    feature_store.apply(fresh_mlflow(world.settings))
    calls = Calls()
    monkeypatch.setattr(freshness, "_streamed", calls.streamed)
    found = measure(world.settings, Delivered([today], pd.MultiIndex.from_frame(told)), QUICK)
    assert list(found.columns) == ["day", "user_id", "metric", *VECTORS]
    assert set(found["user_id"]) <= set(turned)
    assert found[list(VECTORS)].notna().all(axis=None)
    assert (found["after each event"] != found["daily"]).any()
    assert not list(world.settings.home.glob("tmp*"))
    [(view, moments, vectors_SZ)] = calls.seen
    for row in (0, len(vectors_SZ) // 2, len(vectors_SZ) - 1):
        of_user = moments.events[moments.events["user_id"] == moments.user_id[row]]
        for number, is_near in ((moments.number[row], True), (moments.number[row] + 1, False)):
            expected = vector_of(view, tmp_path / str(row) / str(number), of_user[of_user["moment"] < number])
            assert np.allclose(vectors_SZ[row], expected, atol=1e-4) is is_near


class Calls:
    """Streams days, and keeps what came of it."""

    def __init__(self) -> None:
        self.real, self.seen = freshness._streamed, []

    def streamed(self, view: View, state: State, day: Partition, moments: Moments) -> Floats:
        self.seen.append((view, moments, self.real(view, state, day, moments)))
        return self.seen[-1][2]


def vector_of(view: View, folder: Path, events: pd.DataFrame) -> Floats:
    """Return the vector of the user of some events, all stored before anyone asks."""
    with closing(State(folder / "users.db")) as state, state.transaction():
        for _, some in freshness._rounds(LAST.shift(1), events):
            state.add_events(some)
        [row] = view.over(RunningFeatures(view.features.batch)).rows(state, [events["user_id"].iloc[0]])
    return np.frombuffer(row.vector, np.float32)


def test_the_last_days_of_a_simulated_log_are_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freshness, "simulate", lambda settings, config: None)
    days = freshness._simulated(Settings.from_env({"ATTUNE_HOME": str(tmp_path)})).days
    assert [str(day) for day in days] == ["2026-11-06", "2026-11-07", "2026-11-08"]


def test_the_last_dense_week_of_a_public_log_is_judged_and_nothing_later_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [(day, 60 * number) for day in range(100, 109) for number in range(2)] + [(110, 0)]
    rows = [("u", f"i{day}-{at}", 86_400 * day + at, int(day != 104)) for day, at in times]
    folder = tmp_path / "log"
    folder.mkdir()
    columns = ["user_id", "item_id", "timestamp", "exact"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "interactions.csv", index=False)
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home")})
    monkeypatch.setattr(freshness, "MIN_USERS", 1)
    monkeypatch.setattr(freshness, "PUBLIC_DAYS", 4)
    found = freshness._public(settings, folder)
    assert [str(day) for day in found.days] == ["1970-04-16", "1970-04-17", "1970-04-18", "1970-04-19"]
    assert found.pairs is not None
    assert ("u", "i104-0") not in found.pairs
    assert ("u", "i103-60") in found.pairs
    written = list_partitions(settings.raw_dir("interactions"))
    assert written[-1] == found.days[-1]
