from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.training.consumers.cold_start.world import TINY, two_groups
from tests.training.representation.trained_home import LAST, TrainedHome
from training.consumers.base import gate_consumer, train_consumer
from training.consumers.cold_start.consumer import ColdStartConsumer, checks_of
from training.consumers.cold_start.search import Evidence, search_and_train

CONFIG = replace(TINY, max_epochs=4)


def test_checks_hold_new_users_against_popularity_and_old_ones_against_the_ranker_alone() -> None:
    evidence = search_and_train(two_groups(), CONFIG).evidence
    assert [check.name for check in checks_of(evidence, seed=1)] == [
        "finite vectors",
        "new users' NDCG@20 against popularity",
        "new users' NDCG@20 against ranker alone",
        "old users' NDCG@20 against ranker alone",
    ]


def test_vectors_that_are_not_finite_fail() -> None:
    finite, unmeasured = checks_of(Evidence(finite=False, scores={}), seed=1)
    assert (finite.outcome, unmeasured.outcome) == ("failed", "not measured")


def test_a_model_worse_than_popularity_fails_its_gate() -> None:
    evidence = search_and_train(two_groups(), TINY).evidence
    swapped = {"own": evidence.scores["popularity"], "popularity": evidence.scores["own"]}
    failed = [check.name for check in checks_of(Evidence(finite=True, scores=swapped), seed=1) if not check.passed]
    assert failed == ["new users' NDCG@20 against popularity"]


@pytest.mark.integration
def test_the_whole_way_from_a_space_to_a_candidate_model(trained: TrainedHome) -> None:
    settings, space_id = trained.settings, trained.candidate.space_id
    consumer = ColdStartConsumer(config=CONFIG)
    ref = train_consumer(settings, LAST, consumer, space_id)
    assert train_consumer(settings, LAST, consumer, space_id) == ref
    folder = settings.model_dir("cold_start", ref.version)
    assert "own.new.ndcg_at_20" in json.loads((folder / "evaluation.json").read_text())["metrics"]
    assert gate_consumer(settings, LAST, "cold_start", ref.version).subject == f"cold_start {ref.version}"
    sides = consumer.vectors(settings, folder, LAST)
    assert sides.space_id == space_id
    assert sides.user_vectors.shape == (len(sides.users), sides.item_vectors_ID.shape[1])
    assert np.isfinite(sides.user_vectors).all()
    assert sides.virtual_idx is not None
    without = set(range(len(sides.users))) - set(sides.user_idx.tolist())
    assert set(sides.virtual_idx.tolist()) == without
