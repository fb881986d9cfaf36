from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.contracts.errors import MissingArtefact
from training.contracts.partitions import Partition
from training.jobs.logs import import_logs, land_partition, simulate_logs
from training.settings import Settings

LAST = Partition.parse("2026-11-08")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home")})


def test_simulated_logs_land_day_by_day_and_reports_are_json(settings: Settings) -> None:
    small = {"num_users": 60, "num_items": 40, "num_days": 4, "last_day": str(LAST)}
    report = simulate_logs(settings, LAST.shift(-1), **small)
    assert json.loads(report.to_json())["days_written"] == 3
    assert json.loads(land_partition(settings, LAST.shift(-1)).to_json())["landed"] == list(report.days[:3])
    with pytest.raises(MissingArtefact, match=f"newest day that arrived is {LAST.shift(-1)}"):
        land_partition(settings, LAST)
    simulate_logs(settings, LAST, **small)
    landed = land_partition(settings, LAST)
    assert (landed.landed, landed.relanded) == ((str(LAST),), ())


def test_imported_logs_land(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user,item,ts,event_type\nu,i,978307200,click\nu,j,978393600,view\n")
    report = import_logs(settings, Partition.parse("2001-01-01"), folder=str(tmp_path / "events.csv"), format="csv")
    assert (report.days, report.days_written) == (("2001-01-01", "2001-01-02"), 1)
    assert import_logs(settings, None, folder=tmp_path / "events.csv", format="csv").days_written == 2
    assert land_partition(settings, Partition.parse("2001-01-02")).rows["interactions"] == 2
