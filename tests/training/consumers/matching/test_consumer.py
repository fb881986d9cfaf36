from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.training.ranking.world import two_tastes
from tests.training.representation.trained_home import LAST, TrainedHome
from training.consumers.base import gate_consumer, train_consumer
from training.consumers.matching.consumer import MatchingConfig, MatchingConsumer, MatchingModel
from training.consumers.matching.search import choice_of, train_matching
from training.ranking.assemble import build_dataset

CONFIG = MatchingConfig(widths=(4, 8), max_epochs=1)


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
