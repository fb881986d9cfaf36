from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.bench.cold_start.world import write_folder
from tests.training.consumers.cold_start.world import TINY
from training.bench.cold_start import full as cold_full
from training.bench.cold_start.full import CUT, OURS, PEERS, Measured, cold_rows, full_table, judge, with_lead
from training.bench.cold_start.logs import read_attributes
from training.bench.cold_start.tasks import ColdTask, make_tasks
from training.bench.shared.cache import Cache
from training.bench.shared.logs import read_public_log
from training.bench.shared.rows import Row
from training.consumers.cold_start.search import ColdStartConfig


@pytest.fixture
def tasks(tmp_path: Path) -> tuple[ColdTask, ColdTask]:
    folder = write_folder(tmp_path / "ml")
    return make_tasks(read_public_log(folder).frame, read_attributes(folder))


def test_a_perfect_ranking_scores_one(tasks: tuple[ColdTask, ColdTask]) -> None:
    truth = tasks[1].truth.toarray()
    assert judge(tasks[1], truth).summary(CUT)["ndcg@20"] == pytest.approx(1.0)
    assert judge(tasks[1], -truth).summary(CUT)["ndcg@20"] < 0.5


def test_groups_beat_popularity_where_groups_are_all_there_is(tasks: tuple[ColdTask, ColdTask]) -> None:
    figures = {peer.name: judge(tasks[1], peer.fit(tasks[1], **peer.grid[0])).summary(5)["ndcg@5"] for peer in PEERS}
    assert figures["popularity"] < min(value for name, value in figures.items() if name != "popularity")


def test_every_row_is_measured_once_and_printed(
    tasks: tuple[ColdTask, ColdTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tiny(mode: str) -> ColdStartConfig:
        return replace(TINY, mode=mode, max_epochs=2)

    monkeypatch.setattr(cold_full, "ColdStartConfig", tiny)
    cache = Cache(tmp_path / "results")
    rows = cold_rows("ml", "hash", tasks, cache, (1, 2))
    assert [row.model for row in rows] == [*OURS, *(peer.name for peer in PEERS)]
    assert rows[0].seeds == (1, 2)
    assert all(np.isfinite(list(row.metrics.values())).all() for row in rows)
    monkeypatch.setattr(cold_full, "judge", None)
    assert cold_rows("ml", "hash", tasks, cache, (1, 2)) == rows
    table = full_table(rows)
    assert table.startswith("| ml coldstart | R@20 | N@20 | ± | cold_start leads N by | s |")
    assert "**" in table
    assert "12 users held out whole" in table


def test_a_lead_is_user_by_user() -> None:
    figures = dict.fromkeys(("ndcg@20", "n"), 1.0)
    row = Row(
        data="ml",
        protocol="coldstart",
        model="x",
        family="peer",
        params={},
        seeds=(1,),
        metrics=figures,
        seed_spread=figures,
        fit_seconds=0.0,
        tune_seconds=0.0,
    )
    led = with_lead(Measured(row, [0.1, 0.5, 0.3, 0.1]), Measured(row, [0.2, 0.6, 0.2, 0.2]))
    assert led.metrics["lead"] == pytest.approx(0.05)
    assert led.metrics["se_lead"] == pytest.approx(np.std([0.1, 0.1, -0.1, 0.1]) / 2)
    assert led.metrics["n"] == 1.0
