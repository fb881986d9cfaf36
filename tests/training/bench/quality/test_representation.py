"""A toy training period through the real workflow."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from training.bench.quality import representation
from training.bench.quality.matching_rows import matching_rows
from training.bench.quality.representation import SECONDS_PER_DAY, represent, seven_day_probe
from training.bench.shared.cache import Cache
from training.bench.shared.homes import own_home
from training.bench.shared.logs import PublicLog
from training.bench.shared.side_tables import SideTables
from training.bench.shared.splits import first_interactions
from training.bench.shared.tasks import make_problem
from training.consumers.matching.consumer import MatchingConfig
from training.settings import Settings
from training.storage import PART

SIDES = SideTables(
    users=pa.table({"user_id": [str(user) for user in range(41)], "gender": ["F" if u % 2 else "M" for u in range(41)]})
)
"""Of the problem's forty users and one whom it does not know."""


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    users, days = rng.integers(40, size=1500), np.sort(rng.integers(30, size=1500))
    items = (users % 2) * 15 + rng.integers(15, size=1500)
    rows = {"user_id": users, "item_id": items, "occurred_at": 10_000 * SECONDS_PER_DAY + days * SECONDS_PER_DAY}
    return make_problem(PublicLog("toy", first_interactions(pd.DataFrame(rows)), None, "0" * 12), "temporal")


@pytest.fixture(scope="module")
def settings(tmp_path_factory, fresh_mlflow):
    with pytest.MonkeyPatch.context() as homes:
        homes.setattr(representation, "own_home", lambda *where: fresh_mlflow(own_home(*where)))
        yield Settings.from_env({"ATTUNE_HOME": str(tmp_path_factory.mktemp("home"))})


def test_who_is_told_of_arrives_with_the_first_pair_and_others_stay_out(problem):
    history = representation._history(problem, SIDES)
    assert history.items is None
    assert history.users is not None
    told = history.users.to_pandas().set_index("user_id")
    assert set(told.index) == {str(user) for user in problem.test.users}
    pairs = history.interactions.to_pandas()
    assert told["arrived_on"].to_dict() == pairs.groupby("user_id")["arrived_on"].min().to_dict()
    assert len(set(pairs["arrived_on"])) > 1


@pytest.mark.integration
def test_training_pairs_go_through_the_workflow_and_keep_their_rows(settings, problem):
    assert seven_day_probe(settings, problem, SIDES) is None, "nothing is built yet"
    made = represent(settings, problem, SIDES)
    log, data = problem.test.log, made.data
    assert [data.users.ids[row] for row in made.user_rows] == [str(user) for user in problem.test.users]
    assert (data.user_idx == made.user_rows[log.user_idx]).all()
    assert (data.item_idx == made.item_rows[log.item_idx]).all()
    assert (np.abs(data.z_UZ).sum(axis=1) > 0).all()
    assert data.earlier is not None
    assert data.earlier.as_of <= log.occurred_at[int(0.9 * len(log.occurred_at))], "validation can read it"
    assert not np.allclose(data.earlier.z_UZ, data.z_UZ)
    probe = seven_day_probe(settings, problem, SIDES)
    assert probe is not None
    assert {"z", "pca", "mean_of_items"} <= set(probe["representations"])
    own = representation._home_of(settings, problem, SIDES)
    profile = pd.read_parquet(own.features_dir("user_profile", representation._last_day(problem)) / PART)
    expected = {str(user): "F" if user % 2 else "M" for user in problem.test.users}
    assert profile.set_index("user_id")["gender"].to_dict() == expected
    again = represent(settings, problem, SIDES)
    assert (again.data.space_id, again.seconds) == (data.space_id, made.seconds), "built once"


@pytest.mark.integration
def test_matching_finds_the_two_groups(settings, problem, tmp_path):
    variants = {"matching": MatchingConfig(widths=(8,), max_epochs=1)}
    (row,) = matching_rows(settings, problem, Cache(tmp_path), (1, 2), variants)
    assert row.family == "ours"
    assert row.seeds == (1, 2)
    assert "choice" in row.params
    popular = 20 / 30  # a random list of 20 of 30 items would hold this share of what is relevant
    assert row.metrics["recall@20"] > popular
    assert (row,) == tuple(matching_rows(settings, problem, Cache(tmp_path), (1, 2), variants))
