"""Retrains in a row are measured through what is served, and a run that was cut short goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from serving_export.bench import frame as bench
from serving_export.bench.frame import Day, measure, table
from serving_export.lookup import EmbeddingStore
from tests.training.representation.feature_home import two_tastes
from tests.training.representation.trained_home import LAST, SMALL
from training.bench.shared.side_tables import SideTables
from training.data import feature_store
from training.settings import Settings


def day(number: int, framed: float, **more: object) -> Day:
    auc = {"retrained": 0.8, "framed": framed, "raw": 0.5, "first encoder": 0.75}
    facts = {"residual": 0.05, "carried": True, "warm": True, "renewed": False}
    return Day(partition=f"2026-03-{number:02}", auc=auc, **{**facts, **more})


def test_the_table_says_what_the_frame_costs_against_the_first_encoder() -> None:
    days = [day(1, 0.75, residual=None, warm=False), day(2, 0.7425, renewed=True), day(8, 0.75, carried=False)]
    shown = table("simulator", days).splitlines()
    assert shown[4] == "| 0 | 0.8000 | 0.7500 | 0.5000 | 0.7500 | +0.00% |  | cold |"
    assert shown[5] == "| 1 | 0.8000 | 0.7425 | 0.5000 | 0.7500 | -1.00% | 0.050 | item space renewed |"
    assert shown[6].startswith("| 7 |"), "the days between were not retrained on"
    assert shown[6].endswith("| 0.050 | not carried |")
    assert shown[7] == "| mean of the last 3 | 0.8000 | 0.7475 | 0.5000 | 0.7500 | -0.33% |  |  |"


@pytest.mark.slow
@pytest.mark.integration
def test_each_retrain_is_read_through_the_lookup(
    tmp_path: Path, fresh_mlflow: Callable[[Settings], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = two_tastes(tmp_path, num_users=120)
    settings, days = fresh_mlflow(world.settings), [LAST.shift(-8), LAST.shift(-7)]
    for one in days:
        for back in (0, 7):
            world.write_snapshots(one.shift(-back))
    feature_store.apply(settings)
    found = measure(settings, days, SMALL)
    first = found[0]
    assert first.auc["framed"] == first.auc["raw"] == first.auc["first encoder"] == first.auc["retrained"] > 0.6
    assert (first.residual, first.warm, found[1].warm, found[1].renewed) == (None, False, True, False)
    assert found[1].auc["framed"] != found[1].auc["first encoder"]
    store = EmbeddingStore(settings.published_dir)
    assert store.pointer.frame == f"frame-{store.pointer.legacy.space_id}"
    monkeypatch.setattr(bench, "_retrain", None)
    assert measure(settings, days, SMALL) == found
    assert json.loads((settings.home / "retrains" / f"{days[1]}.json").read_text())["warm"]


def test_public_logs_arrive_day_by_day_and_sides_on_the_first() -> None:
    log = pd.DataFrame({"user_id": [1, 2], "item_id": [7, 8], "occurred_at": [86_400 * 10 + 5, 86_400 * 12]})
    sides = SideTables(items=bench.pa.table({"item_id": ["7"], "category": ["x"]}))
    history = bench.history_of(log, sides)
    assert [str(one) for one in history.interactions["arrived_on"].to_pylist()] == ["1970-01-11", "1970-01-13"]
    assert str(history.items["arrived_on"][0]) == "1970-01-11"
    assert history.users is None
