from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from training.bench.multi_interest.problems import (
    comirec_problem,
    content_features,
    profile_of,
    rank_within_user,
    temporal_problem,
)
from training.bench.shared.logs import PublicLog
from training.bench.shared.side_tables import simulated_side_tables
from training.bench.shared.simulated import simulated_log
from training.data.pair_log import PairLog
from training.ingest.simulator import SimulatorConfig
from training.ingest.world import WorldConfig
from training.settings import Settings

WORLD = WorldConfig(num_users=60, num_items=40, num_days=12, num_clusters=3)


def _log(num_users: int = 50, events: int = 10) -> PublicLog:
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(num_users), events)
    items = np.concatenate([rng.choice(30, events, replace=False) for _ in range(num_users)])
    frame = pd.DataFrame(
        {"user_id": users, "item_id": items, "occurred_at": np.sort(rng.integers(0, 10**6, len(users)))}
    )
    return PublicLog("toy", frame.assign(position=frame.groupby("user_id").cumcount()), None, "0" * 12)


def _pairs(log: PairLog) -> set[tuple[int, int]]:
    return set(zip(log.user_idx.tolist(), log.item_idx.tolist(), strict=True))


def test_older_rows_of_the_same_user_are_counted() -> None:
    log = PairLog(
        user_idx=np.array([1, 0, 1, 1, 0]),
        item_idx=np.arange(5),
        occurred_at=np.arange(5),
        num_users=3,
        num_items=5,
        as_of=9,
    )
    assert rank_within_user(log).tolist() == [0, 0, 1, 2, 1]


def test_users_are_split_eight_to_one_to_one_and_targets_are_the_last_fifth() -> None:
    problem = comirec_problem(_log(), None, seed=3)
    parts = [set(part.user_idx) for part in (problem.learn_from, problem.validation.later, problem.test.later)]
    assert [len(part) for part in parts] == [40, 5, 5]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]  # noqa: PT018
    for cut, users in ((problem.validation, parts[1]), (problem.test, parts[2])):
        for user in users:
            assert (cut.known.user_idx == user).sum() == 8
            assert (cut.later.user_idx == user).sum() <= 2
        assert not _pairs(cut.known) & _pairs(cut.later)
        assert set(cut.known.user_idx) == parts[0] | users
    assert problem.refit is None


def test_another_seed_splits_other_users() -> None:
    first, second = (comirec_problem(_log(), None, seed=seed) for seed in (1, 2))
    assert set(first.test.later.user_idx) != set(second.test.later.user_idx)


def test_the_temporal_cut_validates_inside_the_training_period() -> None:
    problem = temporal_problem(_log(), None)
    assert problem.refit is problem.test.known
    assert problem.learn_from is problem.validation.known
    assert _pairs(problem.validation.known) < _pairs(problem.refit)
    assert _pairs(problem.validation.later) <= _pairs(problem.refit)
    assert not _pairs(problem.test.later) & _pairs(problem.refit)
    assert problem.learn_from.occurred_at.max() <= problem.refit.occurred_at.max()
    assert problem.truth is None


def test_content_is_of_the_items_in_their_order_and_zero_without_attributes() -> None:
    profile = pd.DataFrame(
        {
            "item_id": [str(item) for item in range(1, 9)],
            "category": ["a", "a", "a", "b", "b", "b", "c", "c"],
            "subcategory": ["unknown"] * 8,
            "title": [""] * 8,
            "attributes": [None, ["x"], ["x", "y"], None, ["y"], None, ["x"], None],
        }
    )
    features = content_features(np.array([6, 4, 1, 99, 2, 3, 5, 7, 8]), profile)
    assert features[0] @ features[1] > features[0] @ features[2] + 0.5
    assert not features[3].any()
    assert not content_features(np.array([1, 2]), None).any()


def test_what_a_table_of_items_does_not_hold_is_unknown() -> None:
    assert profile_of(None) is None
    categories = ["Drama", "War", "Drama", "War", "War"]
    profile = profile_of(pa.table({"item_id": [str(item) for item in range(1, 6)], "category": categories}))
    assert profile is not None
    assert set(profile["subcategory"]) == {"unknown"}
    features = content_features(np.arange(1, 6), profile)
    assert features[1] @ features[3] == pytest.approx(1), "both are of one category"


@pytest.mark.integration
def test_simulated_users_have_the_interests_that_their_targets_come_from(tmp_path: Path) -> None:
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path), "ATTUNE_SEED": "5"})
    log, home = simulated_log(settings, SimulatorConfig(world=WORLD))
    problem = temporal_problem(log, profile_of(simulated_side_tables(home).items), home)
    assert problem.truth is not None
    counts = problem.truth.interests_UC.sum(axis=1)
    assert counts.min() >= 1
    assert counts.max() <= 3
    later = problem.test.later
    own = problem.truth.interests_UC[later.user_idx, problem.truth.cluster_I[later.item_idx]]
    assert own.mean() > 0.7
    same = problem.truth.cluster_I[:, None] == problem.truth.cluster_I[None, :]
    alike = problem.features_IE @ problem.features_IE.T
    assert alike[same].mean() > alike[~same].mean() + 0.2
