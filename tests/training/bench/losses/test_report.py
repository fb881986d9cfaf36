"""The table of losses: best in bold, intervals over seeds, and one model beside two."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.training.bench.shared.samples import row
from training.bench.losses.report import loss_table, run_losses
from training.bench.losses.rows import FOR_ITEMS, FOR_USERS, LossStudy
from training.bench.shared.logs import read_public_log
from training.settings import Settings


def _line(model, ndcg, fit=1.0):
    made = row(model, ndcg, family="ours", params={"tau": 0.1, "num_epochs": 2}, fit_seconds=fit, tune_seconds=10.0)
    made.metrics["mean_ndcg"] = (ndcg + 0.05) / 2
    made.seed_spread["mean_ndcg"] = 0.0
    return made


def test_the_best_of_each_column_is_bold_and_specialised_models_stand_apart():
    rows = [_line("bbcnce", 0.3), _line("info_nce", 0.2), _line(FOR_ITEMS, 0.31), _line(FOR_USERS, 0.1, fit=2.0)]
    table = loss_table(rows, 20)
    first, second = table.split("| toy |")
    assert "| bbcnce | **0.3000 ± 0.0090** |" in first
    assert FOR_ITEMS not in first
    assert "| one model for both tasks | 0.3000 ± 0.0090 | 0.0500 ± 0.0090 | 1.0 | 10.0 |" in second
    assert "| a specialised model for each | 0.3100 ± 0.0090 | 0.0500 ± 0.0090 | 3.0 | 20.0 |" in second
    assert "| cost of one over two | | | 0.33 | 0.50 |" in second
    assert "| toy |" not in loss_table(rows[:2], 20)


def test_tables_rows_and_picture_are_written(tmp_path):
    rng = np.random.default_rng(0)
    drawn = [(int(rng.integers(20)), int(rng.integers(30)), n) for n in range(400)]
    (tmp_path / "toy").mkdir()
    pd.DataFrame(drawn, columns=["user", "item", "ts"]).to_csv(tmp_path / "toy" / "interactions.csv", index=False)
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home")})
    study = LossStudy(taus=(0.1,), max_epochs=1)
    tables = run_losses(settings, [read_public_log(tmp_path / "toy")], 1, study, ("info_nce", "bbcnce"))
    reports = settings.reports_dir / "bench"
    assert {path.name for path in reports.iterdir()} == {f"toy_losses.{suffix}" for suffix in ("md", "json", "png")}
    assert (reports / "toy_losses.md").read_text() == tables["toy"]
    models = [one["model"] for one in json.loads((reports / "toy_losses.json").read_text())]
    assert models == ["info_nce", "bbcnce"]
    assert tables["toy"].count("± 0.0000") == 3 * 2


def test_one_seed_has_no_interval():
    one = _line("bbcnce", 0.3)
    assert "± 0.0000" in loss_table([type(one).from_dict({**one.to_dict(), "seeds": [1]})], 20)


@pytest.mark.parametrize("missing", [FOR_ITEMS, FOR_USERS, "bbcnce"])
def test_one_against_two_needs_all_three(missing):
    rows = [_line(name, 0.2) for name in ("bbcnce", FOR_ITEMS, FOR_USERS, "info_nce") if name != missing]
    assert "cost of one over two" not in loss_table(rows, 20)
