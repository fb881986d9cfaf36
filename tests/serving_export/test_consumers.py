"""A real `matching` model is arranged for serving, and answers as the model itself would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serving_export.consumers import arrange, consumer_vectors
from serving_export.index import ApproximateConsumer
from serving_export.lookup import EmbeddingStore
from serving_export.packed import unpack_ids
from serving_export.promote import promote_space
from tests.serving_export.world import DAY1, NUM_ITEMS, World, noise
from training.consumers.base import ConsumerSides
from training.consumers.matching.consumer import MatchingConfig, train_matching
from training.consumers.matching.model import MatchingModel
from training.consumers.multi_interest.network import MultiInterestConfig
from training.consumers.multi_interest.search import MultiInterestSearchConfig, search_and_train_interests
from training.consumers.multi_interest.train import MultiInterestTrainingConfig
from training.consumers.two_sided import sides_of
from training.contracts.artefacts import ModelRef
from training.contracts.errors import MissingArtefact, SpaceMismatch
from training.data.vocabulary import Vocabulary
from training.ranking.dataset import RankingDataset


def _data(world: World, space_id: str) -> RankingDataset:
    """Forty users, twenty items; user n interacted with items n, n + 1, n + 5 (modulo the items), a pair a minute."""
    users, z_UZ = world.encode(world.settings, space_id, DAY1)
    pairs = np.array([(user, (user + step) % NUM_ITEMS) for step in (0, 1, 5) for user in range(len(users))])
    start = int(DAY1.starts_at.timestamp())
    return RankingDataset(
        users=Vocabulary(users, "user"),
        items=Vocabulary([f"i{number:02d}" for number in range(NUM_ITEMS)], "item"),
        user_idx=pairs[:, 0].astype(np.int32),
        item_idx=pairs[:, 1].astype(np.int32),
        occurred_at=start + 60 * np.arange(len(pairs)),
        z_UZ=z_UZ,
        item_vectors_IE=noise("items", NUM_ITEMS, 4),
        as_of=int(DAY1.as_of.timestamp()),
        space_id=space_id,
    )


def _trained(world: World, space_id: str, folder: Path) -> tuple[RankingDataset, MatchingModel]:
    data = _data(world, space_id)
    folder.mkdir(parents=True)
    train_matching(data, MatchingConfig(widths=(4,), max_epochs=0)).save(folder)
    return data, MatchingModel.load(folder)


@pytest.mark.integration
def test_a_stored_model_is_served_as_it_scores(world: World) -> None:
    space = world.train(DAY1)
    [model] = world.ledger.models("matching")
    data, loaded = _trained(world, space.space_id, world.settings.model_dir("matching", model.version))
    made = arrange(model, sides_of(loaded, data))
    assert unpack_ids(made.user_ids) == list(data.users.ids)
    assert made.seen_UI.nnz == 120
    sources = replace(world.sources, consume=lambda *_: made)
    assert promote_space(world.settings, DAY1, sources)["promoted"]
    store = EmbeddingStore(world.settings.published_dir)
    scores = loaded.user_vectors(data) @ loaded.item_vectors(data).T
    scores[7, [7, 8, 12]] = -np.inf
    expected = tuple(f"i{item:02d}" for item in np.argsort(-scores[7], kind="stable")[:5])
    assert store.recommend("u07", 5).ids == expected


@pytest.mark.integration
@pytest.mark.parametrize("approximate", [False, True])
def test_a_model_of_several_vectors_a_user_is_served_as_it_scores(
    world: World, monkeypatch: pytest.MonkeyPatch, approximate: bool
) -> None:
    space = world.train(DAY1)
    [model] = world.ledger.models("matching")
    data = _data(world, space.space_id)
    towers = MultiInterestConfig(num_interests=3, width=4, hidden=4)
    untrained = MultiInterestSearchConfig(training=MultiInterestTrainingConfig(towers=towers), min_validation_rows=999)
    trained = search_and_train_interests(data, untrained, None).model
    made = arrange(model, sides_of(trained, data))
    assert made.user_vectors.shape == (40, 3, 6)
    monkeypatch.setattr("serving_export.index.EXACT_VALUES", {"item": 0, "user": 0})
    assert promote_space(world.settings, DAY1, replace(world.sources, consume=lambda *_: made))["promoted"]
    scores = (trained.user_vectors(data) @ trained.item_vectors(data).T).max(axis=1)
    scores[data.user_idx, data.item_idx] = -np.inf
    monkeypatch.setattr("serving_export.index._is_worth_a_search", lambda *_: True)
    exact = EmbeddingStore(world.settings.published_dir).consumer("matching")
    answering = ApproximateConsumer(exact) if approximate else exact
    items = tuple(f"i{item:02d}" for item in np.argsort(-scores[7], kind="stable")[:5])
    assert answering.recommend("u07", 5).ids == items
    users = tuple(f"u{user:02d}" for user in np.argsort(-scores[:, 3], kind="stable")[:5])
    assert answering.target("i03", 5).ids == users


def test_sides_of_another_space_than_recorded_are_refused() -> None:
    one = Vocabulary(["a"], "user")
    none = np.zeros(0, np.int32)
    vector = np.ones((1, 2), np.float32)
    sides = ConsumerSides(
        space_id="20261101-aaaaaaaa",
        users=one,
        items=one,
        user_vectors=vector,
        item_vectors_ID=vector,
        user_idx=none,
        item_idx=none,
    )
    recorded = ModelRef(consumer="matching", version="v1", space_id="20261102-bbbbbbbb", partition="2026-11-01")
    with pytest.raises(SpaceMismatch, match="expected space 20261102-bbbbbbbb, found 20261101-aaaaaaaa"):
        arrange(recorded, sides)


@pytest.mark.integration
def test_a_model_that_is_gone_is_named(world: World) -> None:
    recorded = ModelRef(consumer="matching", version="v9", space_id="20261102-bbbbbbbb", partition="2026-11-01")
    with pytest.raises(MissingArtefact, match="matching"):
        consumer_vectors(world.settings, recorded, DAY1)
