from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.training.ranking.world import two_tastes
from tests.training.representation.trained_home import LAST, TrainedHome
from training.consumers.base import gate_consumer, train_consumer
from training.consumers.matching.consumer import MatchingConfig, MatchingConsumer, MatchingModel
from training.consumers.matching.search import choice_of, search_and_train, train_matching
from training.contracts.errors import MissingArtefact
from training.ranking.assemble import build_dataset
from training.ranking.checks import checks_of
from training.ranking.evidence import Evidence

CONFIG = MatchingConfig(widths=(4, 8), max_epochs=1)


def test_checks_name_each_task_against_each_rival() -> None:
    evidence = search_and_train(two_tastes(), CONFIG, None).evidence
    names = [check.name for check in checks_of(evidence, seed=1)]
    assert names == [
        "finite vectors",
        "recommendation NDCG@20 against popularity and activity",
        "targeting NDCG@20 against popularity and activity",
    ]


def test_a_model_worse_than_popularity_fails_its_gate() -> None:
    evidence = search_and_train(two_tastes(), CONFIG, None).evidence
    swapped = Evidence(scores={"own": evidence.scores["popularity and activity"], "rival": evidence.scores["own"]})
    failed = [check.name for check in checks_of(swapped, seed=1) if not check.passed]
    assert "recommendation NDCG@20 against rival" in failed


def test_vectors_that_are_not_finite_fail() -> None:
    finite, unmeasured = checks_of(Evidence(finite=False), seed=1)
    assert (finite.outcome, unmeasured.outcome) == ("failed", "not measured")


@pytest.mark.integration
def test_the_data_set_holds_every_known_user_in_time_order(trained: TrainedHome) -> None:
    data = build_dataset(trained.settings, LAST, trained.candidate.space_id, validate=True)
    assert len(data.users) == 64
    assert len(data.items) == 40
    assert (np.diff(data.occurred_at) >= 0).all()
    assert data.as_of == int(LAST.as_of.timestamp())
    assert data.occurred_at.max() < data.as_of
    assert np.abs(data.z_UZ).sum(axis=1).min() > 0
    assert data.item_vectors_IE.shape[0] == 40
    if data.earlier is not None:
        assert data.earlier.as_of <= data.pairs().instant_at(0.9)


@pytest.mark.integration
def test_an_unknown_space_says_what_to_run(trained: TrainedHome) -> None:
    with pytest.raises(MissingArtefact, match="20261105-ffffffff"):
        build_dataset(trained.settings, LAST, "20261105-ffffffff")


@pytest.mark.integration
def test_the_whole_way_from_a_space_to_a_candidate_model(trained: TrainedHome) -> None:
    settings, space_id = trained.settings, trained.candidate.space_id
    ref = train_consumer(settings, LAST, MatchingConsumer(config=CONFIG), space_id)
    assert train_consumer(settings, LAST, MatchingConsumer(config=CONFIG), space_id) == ref
    decision = gate_consumer(settings, LAST, "matching", ref.version)
    assert decision.accepted, decision.reasons
    folder = settings.model_dir("matching", ref.version)
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert evaluation["metrics"]["own.ndcg_at_20"] > evaluation["metrics"]["popularity and activity.ndcg_at_20"]
    model = MatchingModel.load(folder)
    data = build_dataset(settings, LAST, space_id)
    assert model.user_vectors(data).shape[1] == model.item_vectors(data).shape[1]


@pytest.mark.integration
def test_the_model_in_service_is_continued_on_its_own_space_alone(
    trained: TrainedHome, caplog: pytest.LogCaptureFixture
) -> None:
    settings, consumer = trained.settings, MatchingConsumer(config=CONFIG)
    earlier = train_consumer(settings, LAST.shift(-1), consumer, trained.live.space_id)
    champion = settings.model_dir("matching", earlier.version)
    caplog.set_level("INFO")
    continued = consumer.train(settings, LAST, trained.live.space_id, champion)
    assert "one pass over what is new" in caplog.text
    assert continued.model.space_id == trained.live.space_id
    assert choice_of(continued.model) == choice_of(MatchingModel.load(champion))
    assert "champion.ndcg_at_20" in continued.metrics
    caplog.clear()
    whole = consumer.train(settings, LAST, trained.candidate.space_id, champion)
    assert "one pass over what is new" not in caplog.text
    assert whole.model.space_id == trained.candidate.space_id


@pytest.mark.parametrize(
    ("objective", "loss"), [("pairs", None), ("pairs", "sim_clr"), ("next_item", None)], ids=["pairs", "loss", "next"]
)
def test_another_way_of_learning_is_not_continued(objective: str, loss: str | None) -> None:
    live = train_matching(two_tastes(), CONFIG)
    consumer = MatchingConsumer(config=CONFIG)
    assert consumer._may_continue(live, live.space_id)
    assert not consumer._may_continue(live, "20261106-ffffffff")
    assert not consumer.with_objective(objective, loss)._may_continue(live, live.space_id)
    assert not replace(consumer, continues=False)._may_continue(live, live.space_id)
