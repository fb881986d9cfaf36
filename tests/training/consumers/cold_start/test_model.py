from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.consumers.cold_start.world import NUM_COLUMNS, NUM_ITEMS, NUM_USERS, TINY, two_groups
from training.consumers.cold_start.model import ColdStartModel, StartWeights
from training.consumers.cold_start.search import Choice, train_cold_start
from training.contracts.errors import AttuneError, MissingArtefact, SpaceMismatch
from training.data.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def model() -> ColdStartModel:
    choice = Choice(mode="full", num_epochs=1, start_weights=StartWeights(new=2.0, old=0.5))
    return train_cold_start(two_groups(), TINY, choice, "20261101-aaaaaaaa")


def test_vectors_score_as_the_network_and_its_weighted_start_do(model: ColdStartModel) -> None:
    data = two_groups()
    scores = model.user_vectors(data) @ model.item_vectors().T
    [tokens] = model._chunks(data, np.arange(NUM_USERS))
    logits = model.network.all_logits(tokens, fill=True).detach().numpy()
    weights = np.where(data.has_history, 0.5, 2.0)[:, None]
    start = model.start.user_vectors(data) @ model.start.item_vectors().T
    assert scores.shape == (NUM_USERS, NUM_ITEMS)
    np.testing.assert_allclose(scores, logits + weights * start, atol=1e-4)


def test_an_unknown_item_ranks_below_every_known_one(model: ColdStartModel) -> None:
    items = model.item_vectors(Vocabulary([*model.items.ids, "zz new"], "item"))
    assert items.shape == (NUM_ITEMS + 1, model.item_vectors().shape[1])
    term = TINY.model.width
    assert np.flatnonzero(items[-1]).tolist() == [term]
    assert items[-1, term] < items[:-1, term].min()


def test_the_second_output_has_the_encoders_columns(model: ColdStartModel) -> None:
    columns = model.virtual_columns(two_groups())
    assert columns.shape == (NUM_USERS, NUM_COLUMNS)
    assert np.isfinite(columns).all()


def test_saved_and_loaded_it_is_the_same_byte_for_byte(model: ColdStartModel, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    model.save(first)
    loaded = ColdStartModel.load(first)
    loaded.save(second)
    assert {path.name: path.read_bytes() for path in first.iterdir()} == {
        path.name: path.read_bytes() for path in second.iterdir()
    }
    np.testing.assert_array_equal(loaded.user_vectors(two_groups()), model.user_vectors(two_groups()))
    assert loaded.network.config == model.network.config


def test_a_model_without_a_tower_imagines_nothing_and_is_kept_as_such(tmp_path: Path) -> None:
    base = train_cold_start(two_groups(), TINY, Choice(mode="base", num_epochs=1))
    base.save(tmp_path)
    loaded = ColdStartModel.load(tmp_path)
    assert loaded.network.zero_shot is None
    with pytest.raises(AttuneError, match="mode full"):
        loaded.virtual_columns(two_groups())


def test_the_mlp_has_no_vectors() -> None:
    config = replace(
        TINY, model=replace(TINY.model, ranker="mlp"), training=replace(TINY.training, loss="bce", num_targets=2)
    )
    mlp = train_cold_start(two_groups(), config, Choice(mode="full", num_epochs=1))
    with pytest.raises(AttuneError, match="inner_product"):
        mlp.user_vectors(two_groups())


def test_other_ids_other_spaces_and_empty_folders_are_refused(model: ColdStartModel, tmp_path: Path) -> None:
    with pytest.raises(AttuneError, match="items and attribute values"):
        model.user_vectors(replace(two_groups(), values=Vocabulary(["x"], "value")))
    with pytest.raises(SpaceMismatch, match="20261102-bbbbbbbb"):
        model.refuse_other_space("20261102-bbbbbbbb")
    model.refuse_other_space("20261101-aaaaaaaa")
    with pytest.raises(MissingArtefact, match="train_consumer"):
        ColdStartModel.load(tmp_path)


def test_some_users_are_computed_as_among_all(model: ColdStartModel) -> None:
    data = two_groups()
    rows = np.array([3, 17, NUM_USERS - 1])
    some, every = model.user_vectors(data, rows), model.user_vectors(data)
    np.testing.assert_allclose(some[rows], every[rows], rtol=1e-5, atol=1e-6)
    assert not some[np.setdiff1d(np.arange(NUM_USERS), rows), : model.network.config.width].any()
    imagined = model.virtual_columns(data, rows)
    np.testing.assert_allclose(imagined, model.virtual_columns(data)[rows], rtol=1e-5, atol=1e-6)
    assert model.virtual_columns(data, rows[:0]).shape == (0, imagined.shape[1])
