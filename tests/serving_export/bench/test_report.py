"""The speed report on disk."""

import json

import pytest

from serving_export.bench import report
from training.bench.shared.timing import Timing
from training.settings import Settings


@pytest.mark.integration
def test_table_and_figures_are_written(tmp_path, monkeypatch):
    line = Timing(what="a day", unit="s", ours=1.0)
    monkeypatch.setattr(report, "feature_timings", lambda folder, seed: [line])
    monkeypatch.setattr(report, "training_timings", lambda seed: [])
    monkeypatch.setattr(report, "stream_timings", lambda folder, seed: [])
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home")})
    table = report.measure(settings, tmp_path / "scratch", num_users=600, num_items=500, num_rows=2_000)
    folder = settings.reports_dir / "bench"
    assert (folder / "speed.md").read_text() == table
    whats = [one["what"] for one in json.loads((folder / "speed.json").read_text())]
    assert whats[-3:] == ["a day", "import of 2,000 rows of CSV", "import of 2,000 rows of CSV, peak memory"]
    sizes = ["lookup", "opening"] * 2 + ["lookup"]
    expected = ["lookup"] * 4 + ["over"] * 10 + sizes + ["top"] + ["materialise"] * 2
    assert [what.partition(" ")[0] for what in whats[:-3]] == expected
