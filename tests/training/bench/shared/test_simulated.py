"""Simulated logs: cleaned, kept, and bounded by the truth."""

from dataclasses import replace

import pandas as pd
import pytest

from training.bench.shared import simulated as module
from training.bench.shared.simulated import attainable_row, simulated_log
from training.bench.shared.tasks import make_problem
from training.evaluation.metrics import evaluate
from training.evaluation.peers.counts import popularity
from training.ingest.simulator import SimulatorConfig
from training.ingest.world import WorldConfig
from training.settings import Settings

CONFIG = SimulatorConfig(world=WorldConfig(num_users=150, num_items=80, num_days=20))


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings.from_env({"ATTUNE_HOME": str(tmp_path_factory.mktemp("home"))})


def test_log_is_clean_kept_and_separate_from_the_home(settings):
    log, own = simulated_log(settings, CONFIG)
    assert own.home.is_relative_to(settings.home / "bench")
    assert not log.frame.duplicated(["user_id", "item_id"]).any()
    assert log.frame["user_id"].nunique() <= 150, "bots are no users"
    assert log.frame["occurred_at"].is_monotonic_increasing
    again, same = simulated_log(settings, CONFIG)
    assert (again.content_hash, same.home) == (log.content_hash, own.home)
    other, elsewhere = simulated_log(replace(settings, seed=settings.seed + 1), CONFIG)
    assert other.content_hash != log.content_hash
    assert elsewhere.home != own.home


def test_simulated_logs_stand_in_where_no_folder_is_given(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "simulated_log", lambda settings: simulated_log(settings, CONFIG))
    assert [log.name for log in module.benchmarked_logs(settings, [])] == ["simulator"]
    pd.DataFrame({"user": [1], "item": [2], "ts": [3]}).to_csv(tmp_path / "interactions.csv", index=False)
    assert [log.name for log in module.benchmarked_logs(settings, [tmp_path])] == [tmp_path.name]


def test_truth_ranks_better_than_popularity(settings):
    log, own = simulated_log(settings, CONFIG)
    problem = make_problem(log, "temporal")
    row = attainable_row(problem, own)
    assert row.family == "limit"
    task = problem.test
    popular = evaluate(popularity(task.log), task.log.matrix, task.held_out, task.k, targeting=False)
    assert row.metrics["ndcg@20"] > popular.recommendation.summary(20)["ndcg@20"]
    assert row.metrics["n"] == len(popular.recommendation.keys)
    assert list(problem.test_days) == sorted(problem.test_days)
