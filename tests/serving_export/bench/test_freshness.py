"""A day is streamed on a small home, and whoever turns to something else on it is followed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from serving_export.bench import freshness
from serving_export.bench.freshness import Delivered, measure
from serving_export.bench.freshness_table import VECTORS
from tests.training.representation.feature_home import two_tastes
from tests.training.representation.trained_home import LAST, SMALL
from training.data import feature_store
from training.settings import Settings

QUICK = replace(SMALL, seven_day=False, training=replace(SMALL.training, max_epochs=15))


@pytest.mark.integration
def test_users_who_turn_to_the_other_kind_are_followed_within_the_day(
    tmp_path: Path, fresh_mlflow: Callable[[Settings], Settings]
) -> None:
    world, today = two_tastes(tmp_path), LAST.shift(1)
    turned = [f"u{2 * number:03}" for number in range(20)]  # of the north, who meet the south from now on
    for number, user_id in enumerate(turned):
        for place in range(4):
            at = today.starts_at + timedelta(hours=8, minutes=place)
            world.add(user_id, f"i{20 + (number + place) % 20:02}", at)
    told = pd.DataFrame(world.events)[["user_id", "item_id"]]
    for place in range(2):  # their days are not known
        world.add("u001", f"i{place:02}", today.starts_at + timedelta(hours=place))
    world.add("new", "i00", today.starts_at)
    world.write_interactions(today, today)
    for one in (LAST, LAST.shift(-7)):
        world.write_snapshots(one)
    feature_store.apply(fresh_mlflow(world.settings))
    found = measure(world.settings, Delivered([today], pd.MultiIndex.from_frame(told)), QUICK)
    assert set(found["user_id"]) <= set(turned)
    assert len(found) > 30
    assert list(found.columns) == ["day", "user_id", *VECTORS]
    assert found[["daily", "after each event"]].notna().all(axis=None)
    assert found["after each event"].mean() > found["daily"].mean()
    assert not list(world.settings.home.glob("tmp*"))


def test_the_last_days_of_a_simulated_log_are_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freshness, "simulate", lambda settings, config: None)
    days = freshness._simulated(Settings.from_env({"ATTUNE_HOME": str(tmp_path)})).days
    assert [str(day) for day in days] == ["2026-11-06", "2026-11-07", "2026-11-08"]
