from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from training.bench.multi_interest import report as interest_report
from training.bench.multi_interest.report import interest_table, public_problems, run_multi_interest
from training.bench.multi_interest.rows import InterestRow, StudyConfig
from training.bench.multi_interest.variants import FULL
from training.bench.quality.report import report_dir
from training.bench.shared.readme import written_parts
from training.settings import Settings


def _row(variant: str, ndcg: list[float], **truth: list[float]) -> InterestRow:
    names = [f"{name}@{k}" for k in (20, 50) for name in ("recall", "ndcg", "hr")]
    metrics = dict.fromkeys(names, float(np.mean(ndcg))) | {"cosine": 0.5}
    metrics |= {name: float(np.mean(values)) for name, values in truth.items()}
    return InterestRow(
        variant=variant,
        metrics=metrics,
        ndcg=ndcg,
        seed_ndcg=ndcg,
        by_truth=truth,
        num_interests=[2, 3, 4] if truth else [],
        win_shares=[0.7, 0.3],
        num_epochs=[4, 5, 6],
    )


def test_without_a_truth_the_table_has_no_columns_for_it() -> None:
    table = interest_table("toy", "comirec", [_row(FULL, [0.2, 0.4]), _row("K = 1", [0.1, 0.3])], StudyConfig(), 0)
    assert "coverage" not in table
    assert "| K = 1 | 0.2000 |" in table
    assert "-0.1000 [-0.1000, -0.1000] | 0.0000 |" in table
    assert "| 0.300 | 0.50 | 4, 5, 6 |" in table


def test_seeds_that_disagree_are_told_beside_the_users() -> None:
    full, other = _row(FULL, [0.2, 0.2]), replace(_row("K = 1", [0.2, 0.2]), seed_ndcg=[0.1, 0.3])
    assert "| +0.0000 [+0.0000, +0.0000] | 0.1000 |" in interest_table(
        "toy", "comirec", [full, other], StudyConfig(), 0
    )


def test_users_of_several_interests_are_told_apart() -> None:
    truth = {"recall per interest": [0.9, 0.4, 0.2], "coverage": [1.0, 0.5, 0.5]}
    worse = {"recall per interest": [0.9, 0.3, 0.1], "coverage": [1.0, 0.5, 0.5]}
    rows = [_row(FULL, [0.1] * 3, **truth), _row("K = 1", [0.1] * 3, **worse)]
    table = interest_table("toy", "temporal", rows, StudyConfig(), 0)
    assert "| 0.5000 | 0.3000 | 0.6667 |" in table
    assert "- K = 1: -0.1000 [-0.1000, -0.1000]" in table


def test_tables_are_written_under_one_name_for_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.training.bench.multi_interest.test_rows import SMALL, _problem

    problems = [replace(_problem(), data=name, content_hash=name) for name in ("a", "b")]
    monkeypatch.setattr(interest_report, "_problems", lambda *_: iter(problems))
    monkeypatch.setattr(
        interest_report,
        "interest_rows",
        lambda problem, cache, study, workers: _rows(problem, cache, study, {FULL: SMALL}),
    )
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path)})
    tables = run_multi_interest(settings, [], 1)
    assert list(tables) == ["a temporal", "b temporal"]
    parts = written_parts(report_dir(settings))
    assert parts["multi-interest"].count("**, protocol temporal") == 2


_rows = interest_report.interest_rows


def test_large_logs_are_cut_by_time_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(0, 20, (400, 2)), axis=0)
    log = pd.DataFrame(rng.permutation(pairs), columns=["user_id", "item_id"]).assign(timestamp=range(len(pairs)))
    log.to_csv(tmp_path / "interactions.csv", index=False)
    for most, protocols in ((len(pairs), ["comirec", "temporal"]), (len(pairs) - 1, ["temporal"])):
        assert [problem.protocol for problem in public_problems(tmp_path, 1, most)] == protocols
