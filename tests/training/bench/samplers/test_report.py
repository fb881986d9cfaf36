"""The comparison on a toy log: cores, random splits, and a whole run that goes on where it stopped."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from training.bench.samplers import report as module
from training.bench.samplers.report import (
    ModelCase,
    SamplerBenchConfig,
    core_of,
    describe,
    make_sampler_problem,
    places_within,
    run_samplers,
)
from training.bench.samplers.runs import RUNS
from training.bench.shared.logs import read_public_log
from training.sampler_search.matrix_factorisation import MatrixFactorisation
from training.sampler_search.sampled_ranking import SampledRankingConfig
from training.settings import Settings

CONFIG = SamplerBenchConfig(
    core=2,
    num_seeds=1,
    models=[
        ModelCase(
            name="MF",
            make=lambda pairs: MatrixFactorisation(pairs.num_users, pairs.num_items, 2),
            training=SampledRankingConfig(batch_pairs=64, max_epochs=2, evaluate_every=1, patience=1),
        )
    ],
)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(user, item + 8 * (user % 2)) for user in range(12) for item in rng.permutation(8)]
    frame = pd.DataFrame(rows, columns=["user", "item"]).assign(ts=range(len(rows)))
    (tmp_path / "toy").mkdir()
    frame.to_csv(tmp_path / "toy" / "interactions.csv", index=False)
    return tmp_path / "toy"


def test_a_core_leaves_no_one_with_fewer_pairs():
    frame = pd.DataFrame({"user_id": [1, 1, 2, 2, 3], "item_id": [1, 2, 1, 2, 3]})
    assert core_of(frame, 2)["user_id"].tolist() == [1, 1, 2, 2]
    assert core_of(frame, 3).empty


def test_places_are_ranks_within_a_user():
    places = places_within(np.array([0, 1, 0, 0, 1]), np.array([0.9, 0.1, 0.5, 0.2, 0.7]))
    assert places.tolist() == pytest.approx([5 / 6, 1 / 4, 3 / 6, 1 / 6, 3 / 4])


def test_each_users_pairs_are_split_at_random_and_no_pair_is_in_two_parts(folder):
    problem = make_sampler_problem(read_public_log(folder), CONFIG, 3)
    parts = [problem.known, problem.validation, problem.test]
    assert [len(part) for part in parts] == [72, 0, 24]
    assert all((part.user_counts() > 0).all() for part in (problem.known, problem.test))
    pairs = [set(zip(part.user_idx.tolist(), part.item_idx.tolist(), strict=True)) for part in parts]
    assert not pairs[0] & pairs[2]
    assert "12 users, 16 items, 72 pairs" in describe(problem)


def test_users_are_drawn_from_a_larger_log(folder):
    problem = make_sampler_problem(read_public_log(folder), replace(CONFIG, max_pairs=50), 3)
    assert problem.known.num_users == 6


def test_a_run_prints_every_way_and_is_kept(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHOOSE", 0.85)
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home")})
    table = run_samplers(settings, [read_public_log(folder)], CONFIG)["toy"]
    assert all(f"| {name} |" in table or f"{name} search" in table for name in RUNS)
    assert "exhaustive best" in table
    assert (settings.reports_dir / "bench" / "toy_samplers.md").read_text() == table
    monkeypatch.setattr(module, "run_case", lambda *arguments: pytest.fail("trained again"))
    assert run_samplers(settings, [read_public_log(folder)], CONFIG)["toy"] == table
