"""The whole benchmark on a toy log: tables, rows and pictures on disk."""

import json

import numpy as np
import pandas as pd
import pytest

from training.bench.quality import report as quality
from training.evaluation.peers.counts import popularity, recent_popularity
from training.evaluation.peers.table import Peer
from training.settings import Settings


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(int(rng.integers(20)), int(rng.integers(30)), n) for n in range(400)]
    (tmp_path / "toy").mkdir()
    pd.DataFrame(rows, columns=["user", "item", "ts"]).to_csv(tmp_path / "toy" / "interactions.csv", index=False)
    return tmp_path / "toy"


def test_tables_rows_and_pictures_are_written(tmp_path, folder, monkeypatch):
    peers = (Peer("popular", popularity, ({},)), Peer("recent", recent_popularity, ({"share": 0.5},)))
    real = quality.peer_rows
    monkeypatch.setattr(quality, "peer_rows", lambda problem, cache, seeds: real(problem, cache, seeds, peers))
    monkeypatch.setattr(quality, "matching_rows", lambda settings, problem, cache, seeds, sides: [])
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home")})
    parts = quality.run_quality(settings, [folder], ["temporal", "loo"], 1, simulator=False)
    assert set(parts) == {"temporal", "loo"}
    assert "popular" in parts["temporal"]
    assert "HR@10" in parts["loo"]
    report = quality.report_dir(settings)
    assert {path.name for path in report.iterdir()} == {
        f"toy_{protocol}.{suffix}" for protocol in ("temporal", "loo") for suffix in ("md", "json", "png")
    }
    assert [row["model"] for row in json.loads((report / "toy_temporal.json").read_text())] == ["popular", "recent"]
    assert (report / "toy_temporal.md").read_text() in parts["temporal"]
