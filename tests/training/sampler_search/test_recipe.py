"""A consumer's search on a home with two tastes: what is recorded, and that it is a function of the partition."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from tests.training.representation.feature_home import FeatureHome
from tests.training.sampler_search.world import TRAINING, halves, log
from training.contracts.errors import MissingArtefact
from training.contracts.partitions import Partition
from training.ranking.two_tower import TwoTowerConfig
from training.sampler_search.choice import choice_path, chosen_sampler
from training.sampler_search.recipe import OFFERED, SamplerRecipeConfig, judged, newest_users, search_for_consumer
from training.sampler_search.search import SamplerSearchConfig
from training.samplers.candidates import CANDIDATES
from training.settings import Settings

FIRST, LAST = Partition.parse("2026-01-01"), Partition.parse("2026-01-10")
SEARCH = SamplerSearchConfig(training=TRAINING, round_epochs=2)
CONFIG = SamplerRecipeConfig(search=SEARCH, tower=TwoTowerConfig(width=4), min_validation_rows=5)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path_factory.mktemp("home"))})
    world = FeatureHome(settings)
    rng = np.random.default_rng(0)
    for user in range(12):
        liked = [f"i{item + 8 * (user % 2)}" for item in rng.permutation(8)]
        for day, item in enumerate(liked):
            world.add(f"u{user}", item, FIRST.shift(day).starts_at + timedelta(hours=1 + user))
    world.write_interactions(FIRST, LAST)
    return settings


def test_the_choice_is_recorded_with_its_evidence_and_again_the_same(home):
    chosen = search_for_consumer(home, LAST, "multi_interest", CONFIG)
    path = choice_path(home, "multi_interest", LAST)
    before = path.read_bytes()
    assert chosen_sampler(home, "multi_interest", LAST) == chosen
    assert set(chosen.weights) <= set(OFFERED["multi_interest"])
    values = chosen.evidence["validation_ndcg@20"]
    assert (values["choice"] > values["uniform"]) or chosen.weights == {"uniform": 1.0}
    assert "seconds" not in json.dumps(chosen.evidence)
    search_for_consumer(home, LAST, "multi_interest", CONFIG)
    assert path.read_bytes() == before


def test_too_few_pairs_to_choose_by_record_uniform_and_say_so(home):
    chosen = search_for_consumer(home, LAST, "matching", replace(CONFIG, min_validation_rows=10_000))
    assert chosen.weights == {"uniform": 1.0}
    assert "too few to choose by" in chosen.evidence["reason"]


def test_a_partition_without_interactions_says_what_to_run(tmp_path):
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path)})
    with pytest.raises(MissingArtefact, match="run transform_partition"):
        search_for_consumer(settings, LAST, "matching", CONFIG)
    assert not (tmp_path / "samplers").exists()


def test_matching_is_offered_every_sampler_and_the_others_those_that_read_no_scores():
    assert OFFERED["matching"] == CANDIDATES
    assert "hardest of 8" not in OFFERED["cold_start"]


def test_a_choice_that_is_no_better_than_uniform_is_not_made():
    from tests.training.sampler_search.world import make_model

    known, held_out = halves()
    frozen = replace(SEARCH, candidates=("uniform", "popularity^1"), training=replace(TRAINING, max_epochs=0))
    weights, evidence = judged(make_model, known, held_out, replace(frozen, inherit=False))
    assert weights == {"uniform": 1.0}
    assert evidence["validation_ndcg@20"]["choice"] == evidence["validation_ndcg@20"]["uniform"]
    assert list(evidence["searched"].values()) == [1.0]


def test_the_newest_users_come_whole_within_the_bound():
    pairs = log([0, 1, 1, 2, 0], [0, 1, 2, 3, 4])
    assert sorted(set(newest_users(pairs, 3).user_idx.tolist())) == [0, 2]
    assert len(newest_users(pairs, 100)) == 5
    assert len(newest_users(pairs, 1)) >= 1
