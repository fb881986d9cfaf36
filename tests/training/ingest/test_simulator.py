from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from training.contracts.errors import MissingArtefact
from training.contracts.partitions import Partition
from training.ingest.faulty_events import FaultConfig
from training.ingest.landing import land
from training.ingest.sessions import TrafficConfig
from training.ingest.simulator import SimulatorConfig, simulate, true_preferences
from training.ingest.world import WorldConfig
from training.settings import Settings

LAST = Partition.parse("2026-11-08")
CONFIG = SimulatorConfig(
    world=WorldConfig(num_users=150, num_items=60, num_days=12, num_clusters=5),
    traffic=TrafficConfig(sessions_per_day=1.0),
    faults=FaultConfig(broken=0.004, late=0.05, num_bots=1, bot_days=0.5),
)


def home(path: Path, seed: int = 17) -> Settings:
    return Settings.from_env({"ATTUNE_HOME": str(path), "ATTUNE_SEED": str(seed)})


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = home(tmp_path_factory.mktemp("home"))
    simulate(settings, CONFIG)
    land(settings, LAST)
    return settings


def landed(settings: Settings, table: str = "interactions") -> pd.DataFrame:
    paths = sorted(settings.landed_dir(table).rglob("*.parquet"))
    return pd.concat([pq.ParquetFile(p).read().to_pandas().assign(dt=p.parent.name[3:]) for p in paths])


def tree(settings: Settings) -> dict[str, bytes]:
    return {str(p.relative_to(settings.home)): p.read_bytes() for p in settings.home.rglob("*") if p.is_file()}


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    one, two, other = home(tmp_path / "1"), home(tmp_path / "2"), home(tmp_path / "3", seed=18)
    for each in (one, two, other):
        simulate(each, CONFIG)
    assert tree(one) == tree(two)
    assert tree(one) != tree(other)


def test_days_after_until_wait_and_come_later(tmp_path: Path) -> None:
    one, two = home(tmp_path / "1"), home(tmp_path / "2")
    assert simulate(one, CONFIG, until=LAST.shift(-3)).days_written == 9
    assert not (one.raw_dir("interactions") / f"dt={LAST}").exists()
    assert simulate(one, CONFIG).days_written == 12
    simulate(two, CONFIG)
    assert tree(one) == tree(two)


def test_preferences_are_probabilities_over_the_items_that_exist(settings: Settings) -> None:
    truth = true_preferences(settings)
    late, early = truth.matrix(LAST), truth.matrix(LAST.shift(-11))
    assert late.shape == (len(truth.users), len(truth.items)) == (150, 60)
    np.testing.assert_allclose(late.sum(axis=1), 1.0)
    assert (late > 0).all()
    new = (early == 0).all(axis=0)
    assert 0 < new.sum() < 30
    assert np.abs(late[:, ~new] - early[:, ~new]).max() > 0.01


def test_events_follow_the_preferences(settings: Settings) -> None:
    truth = true_preferences(settings)
    events = landed(settings).drop_duplicates("event_id")
    events = events[~events["user_id"].str.startswith("bot")]
    matrix = truth.matrix(LAST.shift(-5))
    users, items = pd.Index(truth.users), pd.Index(truth.items)
    own = np.log(matrix[users.get_indexer(events["user_id"]), items.get_indexer(events["item_id"])] + 1e-9)
    shuffled = np.random.default_rng(0).permutation(users.get_indexer(events["user_id"]))
    others = np.log(matrix[shuffled, items.get_indexer(events["item_id"])] + 1e-9)
    assert own.mean() > others.mean() + 1.0


def test_sampled_items_match_their_probability() -> None:
    from training.ingest.sessions import _draw_items, _pick
    from training.ingest.world import draw_world

    rng = np.random.default_rng(3)
    world = draw_world(WorldConfig(num_users=3, num_items=25, num_days=5, num_clusters=3), rng)
    users = np.repeat(np.arange(3), 40_000)
    items = _draw_items(world, 2, users, _pick(world.interests(2)[users], rng), rng)
    seen = np.zeros((3, 25))
    np.add.at(seen, (users, items), 1 / 40_000)
    np.testing.assert_allclose(seen, world.preferences(2), atol=0.012)


def test_the_log_has_the_faults_of_a_real_one(settings: Settings) -> None:
    events = landed(settings)
    assert events["event_id"].duplicated().mean() == pytest.approx(0.014, abs=0.008)
    late = events["occurred_at"].dt.strftime("%Y-%m-%d") < events["dt"]
    assert 0.02 < late.mean() < 0.09
    bots = events[events["user_id"].str.startswith("bot")].groupby(["user_id", "dt"])
    assert (bots.size() >= 300).all()
    assert (bots["item_id"].nunique() <= 4).all()
    counts = events["item_id"].value_counts()
    assert counts.iloc[:6].sum() > 0.25 * len(events)
    reasons = [
        r for p in settings.home.glob("quarantine/*/*.parquet") for r in pq.ParquetFile(p).read()["reason"].to_pylist()
    ]
    assert set(reasons) == {
        "missing required value",
        "unknown event type",
        "time after the arrival day",
        "wrong type",
        "duplicate id with other content",
    }


def test_cold_users_sign_up_during_the_log_with_picks_they_like(settings: Settings) -> None:
    truth, users = true_preferences(settings), landed(settings, "users")
    cold = users[(users["dt"] > users["dt"].min()) & (users["signed_up_at"] == users["valid_from"])]
    assert 20 < len(cold) < 60
    picked = cold[cold["onboarding_item_ids"].map(len) > 0]
    assert 0.7 < len(picked) / len(cold) < 1
    matrix, items = truth.matrix(LAST), pd.Index(truth.items)
    liked = [
        matrix[truth.users.index(user), items.get_indexer(picks)].mean()
        for user, picks in zip(picked["user_id"], picked["onboarding_item_ids"], strict=True)
    ]
    assert np.mean(liked) > 2 / len(items)
    first_event = landed(settings).groupby("user_id")["occurred_at"].min()
    started = cold.set_index("user_id")["signed_up_at"].reindex(first_event.index).dropna()
    assert (first_event[started.index] >= started).all()


def test_a_home_without_simulated_logs_has_no_truth(tmp_path: Path) -> None:
    with pytest.raises(MissingArtefact, match="run the job simulate_logs"):
        true_preferences(home(tmp_path))
