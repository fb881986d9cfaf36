from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.ranking.world import two_tastes
from tests.training.representation.trained_home import LAST, TrainedHome, add_late_event, copied_home
from training.consumers.base import gate_consumer, train_consumer
from training.consumers.matching import consumer as recipe
from training.consumers.matching.consumer import MatchingConfig, MatchingConsumer, MatchingModel
from training.consumers.matching.search import choice_of, train_matching
from training.consumers.matching.train import fit as fit_towers
from training.data.pair_log import PairLog
from training.ranking.assemble import build_dataset
from training.ranking.blocks import Blocks
from training.ranking.dataset import RankingDataset

CONFIG = MatchingConfig(widths=(4, 8), max_epochs=1)


@pytest.mark.integration
@pytest.mark.parametrize(("share", "stored"), [(0.02, -1), (0.1, -2), (0.2, -7), (0.45, None)])
def test_z_is_validated_on_the_newest_vectors_of_before_the_cut_whatever_its_share(
    trained: TrainedHome, monkeypatch: pytest.MonkeyPatch, share: float, stored: int | None
) -> None:
    given: list[RankingDataset] = []

    def stop(data: RankingDataset, *rest: object) -> None:
        given.append(data)
        raise InterruptedError

    monkeypatch.setattr(recipe, "search_and_train", stop)
    consumer = MatchingConsumer(config=replace(CONFIG, validation_share=share))
    with pytest.raises(InterruptedError):
        consumer.train(trained.settings, LAST, trained.candidate.space_id, None)
    (data,) = given
    known = data.known_before(data.pairs().instant_at(1 - share))
    assert (known is None) == (stored is None)
    if stored is not None:
        assert data.earlier is not None
        assert data.earlier.as_of == int(LAST.shift(stored).as_of.timestamp())


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


@pytest.mark.integration
def test_an_event_that_arrives_late_is_learned_by_the_continued_pass(
    trained: TrainedHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = copied_home(trained, tmp_path)
    earlier = train_consumer(settings, LAST.shift(-1), MatchingConsumer(config=CONFIG), trained.live.space_id)
    known = build_dataset(settings, LAST, trained.live.space_id)
    user, item = new_pair(known)
    add_late_event(settings, known.users.ids[user], known.items.ids[item])
    passes: list[tuple[PairLog, int | None]] = []

    def noted(tower: Any, pairs: PairLog, *rest: Any, since: int | None = None) -> None:
        passes.append((pairs, since))
        fit_towers(tower, pairs, *rest, since=since)

    monkeypatch.setattr("training.consumers.matching.search.fit", noted)
    champion = settings.model_dir("matching", earlier.version)
    MatchingConsumer(config=CONFIG).train(settings, LAST, trained.live.space_id, champion)
    pairs, since = passes[0]
    blocks = Blocks(pairs, replace(CONFIG.training, block_users=1).dealing(), since)
    targets = {
        (int(blocks.users[place]), int(target))
        for place, block in enumerate(blocks.epoch(InOrder()))  # type: ignore[arg-type]
        for target in block.target_item_idx
    }
    assert (user, item) in targets


class InOrder(np.random.Generator):
    """Deals users in their order."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def permutation(self, x: Any, axis: int = 0) -> Any:
        return x


def new_pair(data: RankingDataset) -> tuple[int, int]:
    """Return a user with history, and an item that is new to them."""
    matrix = data.pairs().matrix().toarray()
    user = int(np.flatnonzero(matrix.sum(axis=1) >= 2)[0])
    return user, int(np.flatnonzero(matrix[user] == 0)[0])


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
