from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.consumers.multi_interest.test_search import CONFIG
from tests.training.ranking.world import two_tastes
from tests.training.representation.trained_home import LAST, TrainedHome
from training.consumers.base import consumer_named, gate_consumer, train_consumer
from training.consumers.multi_interest.consumer import (
    CONSUMER,
    MultiInterestConsumer,
    MultiInterestModel,
    PlottedModel,
    drawing_by,
    interest_checks,
    interest_metrics,
    lack_of_interests,
    no_dead_tower,
)
from training.consumers.multi_interest.search import interest_choice_of, search_and_train_interests
from training.data.pair_log import PairLog


def test_candidates_are_drawn_by_the_samplers_that_were_chosen() -> None:
    chosen = drawing_by(CONFIG, {"uniform": 0.25, "popularity^0.75": 0.75, "hardest of 8": 0.5})
    assert chosen.training.drawn_by == ((0.0, 0.25), (0.75, 0.75))
    assert drawing_by(CONFIG, {"hardest of 8": 1.0}) == CONFIG


def test_the_recipe_is_found_by_its_name() -> None:
    assert consumer_named("multi_interest") is CONSUMER
    assert CONSUMER.name == "multi_interest"


def test_checks_are_those_of_matching_and_that_no_tower_is_dead() -> None:
    trained = search_and_train_interests(two_tastes(), CONFIG, None)
    assert [check.name for check in interest_checks(trained, seed=1)] == [
        "finite vectors",
        "recommendation NDCG@20 against popularity and activity",
        "targeting NDCG@20 against popularity and activity",
        "no dead tower",
    ]
    metrics = interest_metrics(trained)
    assert metrics["win_share_0"] + metrics["win_share_1"] + metrics.get("win_share_2", 0) == pytest.approx(1.0)
    assert "own.ndcg_at_20" in metrics


def test_a_model_is_stored_with_a_picture_of_its_towers_the_same_bytes_each_time(tmp_path: Path) -> None:
    trained = search_and_train_interests(two_tastes(), replace(CONFIG, interests=(), repel_weights=()), None)
    curves = {"win_share_0": [0.4, 0.5], "mean_pairwise_cosine": [0.9, 0.8], "loss": [7.0, 6.0]}
    for name, drawn in (("a", curves), ("b", curves), ("untrained", {})):
        (tmp_path / name).mkdir()
        plotted = PlottedModel(model=trained.model, curves=drawn)
        assert plotted.space_id == trained.model.space_id
        plotted.save(tmp_path / name)
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert "towers.png" in names
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)
    assert {path.name for path in (tmp_path / "untrained").iterdir()} == names - {"towers.png"}
    assert interest_choice_of(MultiInterestModel.load(tmp_path / "a")) == interest_choice_of(trained.model)


@pytest.mark.parametrize(
    ("shares", "passed"),
    [
        ([0.4, 0.3, 0.2, 0.1], True),
        ([0.975, 0.025], False),
        ([0.5, 0.5, 0.0], False),
        ([0.0, 0.0], True),
        ([1.0], True),
    ],
)
def test_a_tower_that_wins_next_to_nothing_fails_the_gate(shares: list[float], passed: bool) -> None:
    check = no_dead_tower(shares)
    assert check.passed is passed
    assert f"{shares[-1]:.3f}" in check.observed


def test_what_a_log_lacks_for_several_interests_is_said() -> None:
    users, items = np.arange(60) % 30, np.arange(60) % 7
    log = PairLog.of(users, items, np.arange(60), 30, 15)
    assert lack_of_interests(log, 4) == ""
    assert lack_of_interests(log, 8) == "7 items occur, fewer than the 8 interests of a user"
    once = log.where(np.arange(60) < 49)
    assert lack_of_interests(once, 4).startswith("19 users have two different items, fewer than the 20")
    assert lack_of_interests(PairLog.of(users, users % 4, np.arange(60), 30, 15), 4).startswith("0 users")


@pytest.mark.integration
def test_the_whole_way_from_a_space_to_a_candidate_of_several_vectors(trained: TrainedHome) -> None:
    settings, space_id = trained.settings, trained.candidate.space_id
    consumer = MultiInterestConsumer(config=CONFIG)
    ref = train_consumer(settings, LAST, consumer, space_id)
    assert train_consumer(settings, LAST, consumer, space_id) == ref
    decision = gate_consumer(settings, LAST, "multi_interest", ref.version)
    folder = settings.model_dir("multi_interest", ref.version)
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert "no dead tower" in [check["name"] for check in evaluation["checks"]]
    assert decision.accepted, decision.reasons
    sides = consumer.vectors(settings, folder, LAST)
    interests = MultiInterestModel.load(folder).network.config.num_interests
    assert sides.user_vectors.shape[:2] == (len(sides.users), interests)
    assert sides.user_vectors.shape[2] == sides.item_vectors_ID.shape[1]
    assert sides.space_id == space_id
