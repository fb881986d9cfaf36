from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.training.bench.cold_start.world import write_folder
from training.bench.cold_start import report as cold_report
from training.bench.cold_start.report import run_cold_start
from training.bench.quality.report import report_dir
from training.bench.shared.rows import Row
from training.contracts.errors import MissingArtefact
from training.settings import Settings


def _rows(data: str, content: str, tasks: object, cache: object, seeds: tuple[int, ...]) -> list[Row]:
    figures = {"recall@20": 0.2, "ndcg@20": 0.1, "se_ndcg": 0.01, "n": 12.0, "hr@20": 0.5}
    return [
        Row(
            data=data,
            protocol="coldstart",
            model="cold_start",
            family="ours",
            params={},
            seeds=seeds,
            metrics=figures,
            seed_spread=dict.fromkeys(figures, 0.0),
            fit_seconds=1.0,
            tune_seconds=0.0,
        )
    ]


def test_both_tables_of_a_data_set_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = {"new.auc": 0.6, "new.gauc": 0.6, "old.auc": 0.7, "old.gauc": 0.7}
    monkeypatch.setattr(cold_report, "cold_rows", _rows)
    monkeypatch.setattr(
        cold_report, "ablation", lambda *_, **__: {"base": [figures, figures], "full": [figures, figures]}
    )
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home")})
    folder = write_folder(tmp_path / "ml")
    tables = run_cold_start(settings, [folder], 2, simulator=False)
    written = (report_dir(settings) / "ml_coldstart.md").read_text()
    assert tables == {"ml": written}
    assert "| ml coldstart | R@20 |" in written
    assert "| full: whole tower | 0.6000 ± 0.0000 |" in written
    assert set(json.loads((report_dir(settings) / "ml_coldstart.json").read_text())) == {"rows", "auc"}


def test_a_log_without_attributes_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cold_report, "cold_rows", _rows)
    monkeypatch.setattr(cold_report, "MAX_AUC_PAIRS", 10)
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home")})
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "interactions.csv").write_text("user,item,ts\n1,2,3\n")
    with caplog.at_level("INFO"):
        tables = run_cold_start(settings, [tmp_path / "bare", write_folder(tmp_path / "ml")], 1, simulator=False)
    assert list(tables) == ["ml"]
    assert f"users.dat in {tmp_path / 'bare'}, found neither" in caplog.text


def test_a_folder_without_logs_is_an_error(tmp_path: Path) -> None:
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home")})
    with pytest.raises(MissingArtefact, match="name a folder of logs"):
        run_cold_start(settings, [tmp_path / "misspelt"], 1, simulator=False)


def test_a_large_log_is_ranked_and_not_ablated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cold_report, "cold_rows", _rows)
    monkeypatch.setattr(cold_report, "MAX_AUC_PAIRS", 10)
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home")})
    tables = run_cold_start(settings, [write_folder(tmp_path / "ml")], 1, simulator=False)
    assert "AUC" not in tables["ml"]
