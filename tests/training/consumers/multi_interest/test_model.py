from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.ranking.world import two_tastes
from training.consumers.multi_interest.model import (
    MultiInterestModel,
    blended,
    fold_interests,
    interests_of,
    new_items,
    win_shares,
)
from training.consumers.multi_interest.network import MultiInterest, MultiInterestConfig
from training.contracts.errors import MissingArtefact, SpaceMismatch
from training.data.pair_log import PairLog
from training.data.vocabulary import Vocabulary
from training.ranking.calibration import Calibration

DATA = replace(two_tastes(), item_vectors_IE=np.repeat(np.eye(2, dtype=np.float32), 20, axis=0))
PAIRS = DATA.pairs()


def _network(num_interests: int = 3) -> MultiInterest:
    torch.manual_seed(0)
    config = MultiInterestConfig(num_interests=num_interests, width=4, hidden=4)
    network = MultiInterest(config, torch.from_numpy(DATA.content_vectors)).eval()
    torch.nn.init.normal_(network.towers.queries, std=2.0)
    torch.nn.init.normal_(network.from_features)
    return network


def _model(num_interests: int = 3) -> MultiInterestModel:
    rng = np.random.default_rng(0)
    return MultiInterestModel(
        space_id=DATA.space_id,
        items=DATA.items,
        network=_network(num_interests),
        calibration=Calibration(gamma=0.5, user_weights=(1.0, 0.0, 0.0, 0.0, 0.0)),
        item_terms_I=rng.normal(size=40),
        z_map_ZF=rng.normal(size=(2, 4 * num_interests)).astype(np.float32),
        facts={"choice": {}},
    )


def test_the_largest_product_is_the_score() -> None:
    model = _model()
    users, items = model.user_vectors(DATA), model.item_vectors()
    assert users.shape == (60, 3, 6)
    interests = interests_of(model.network, PAIRS)
    best = np.einsum("ukd,id->uki", interests, model.network.items().detach().numpy()).max(axis=1)
    terms = np.log(PAIRS.user_counts() + 0.5)[:, None] + model.item_terms_I[None, :]
    expected = 0.5 * float(model.network.scale.detach()) * best + terms
    np.testing.assert_allclose((users @ items.T).max(axis=1), expected, rtol=1e-4, atol=1e-4)


def test_a_single_interest_is_a_plain_matrix() -> None:
    assert _model(1).user_vectors(DATA).shape == (60, 6)


def test_directions_do_not_depend_on_the_chunk() -> None:
    network = _network()
    np.testing.assert_allclose(interests_of(network, PAIRS), interests_of(network, PAIRS, chunk=7), atol=1e-6)


def test_only_the_users_asked_for_are_computed() -> None:
    network = _network()
    some = interests_of(network, PAIRS, np.array([3, 40]), chunk=1)
    np.testing.assert_allclose(some[[3, 40]], interests_of(network, PAIRS)[[3, 40]], atol=1e-6)
    assert not np.delete(some, [3, 40], axis=0).any()


def test_a_user_without_history_gets_what_z_predicts_of_each_tower() -> None:
    interests = np.zeros((1, 2, 2), np.float32)
    z_map = np.array([[3.0, 0.0, 0.0, 2.0]], np.float32)
    filled = blended(interests, np.ones((1, 1), np.float32), z_map, Calibration())
    assert filled.tolist() == [[[1, 0], [0, 1]]]
    diagonal, z = np.full((1, 2, 2), 0.5**0.5, np.float32), np.ones((1, 1), np.float32)
    np.testing.assert_allclose(blended(diagonal, z, z_map, Calibration()), 0.5**0.5, rtol=1e-5)
    mixed = blended(diagonal, z, z_map, Calibration(z_share=1.0))
    assert mixed[0, 0, 0] > mixed[0, 0, 1]
    assert mixed[0, 1, 0] < mixed[0, 1, 1]


def test_terms_are_folded_into_every_vector() -> None:
    network = _network(2)
    pairs = PairLog.of(np.array([0, 0, 0, 0, 1, 2]), np.arange(6), np.arange(6), 3, 6)
    calibration = Calibration(gamma=0.5, user_weights=(1.0, 0, 0, 0, 0), activity_power=0.5)
    folded = fold_interests(np.ones((3, 2, 4), np.float32), network, calibration, pairs)
    longer = 5 * 2**0.5
    np.testing.assert_allclose(folded[0, 1], [longer, longer, longer, longer, np.log(4.5), 1], rtol=1e-5)


def test_a_new_item_stands_where_its_features_say_at_the_least_popularity() -> None:
    model = _model()
    grown = replace(
        DATA,
        items=Vocabulary([*DATA.items.ids, "i998", "i999"], "item"),
        item_vectors_IE=np.vstack([DATA.item_vectors_IE, [[0, 1], [1, 0]]]).astype(np.float32),
    )
    vectors = model.item_vectors(grown)
    np.testing.assert_array_equal(vectors[:40], model.item_vectors())
    lowest = model.item_terms_I.min()
    assert vectors[40, -1] == pytest.approx(lowest)
    assert vectors[41, -1] == pytest.approx(lowest - 1)
    assert np.linalg.norm(vectors[40, :4]) == pytest.approx(1.0)
    assert not vectors[41, :4].any()
    np.testing.assert_array_equal(model.user_vectors(grown), model.user_vectors(DATA))


def test_no_new_items_give_no_rows() -> None:
    assert new_items(_network(), np.zeros((0, 1), np.float32), 0.0).shape == (0, 6)


def test_shares_of_wins_sum_to_one_and_a_tower_that_points_away_wins_nothing() -> None:
    network = _network()
    assert sum(win_shares(network, PAIRS)) == pytest.approx(1.0)
    with torch.no_grad():
        network.towers.hidden_bias.zero_()
        network.towers.into_hidden.zero_()
        network.towers.out_of_hidden.zero_()
        network.history_items.weight.copy_(network.items())
        network.towers.hidden_bias[2] = 10.0
        network.towers.out_of_hidden[2] = -network.items().mean(dim=0).expand(4, 4)
    assert win_shares(network, PAIRS)[2] == min(win_shares(network, PAIRS))
    assert win_shares(network, PAIRS.where(np.zeros(len(PAIRS), bool))) == [0.0, 0.0, 0.0]


def test_saving_and_loading_changes_nothing_and_gives_the_same_bytes(tmp_path: Path) -> None:
    model = _model()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        model.save(tmp_path / name)
    loaded = MultiInterestModel.load(tmp_path / "a")
    np.testing.assert_array_equal(loaded.user_vectors(DATA), model.user_vectors(DATA))
    np.testing.assert_array_equal(loaded.item_vectors(), model.item_vectors())
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_loading_from_nowhere_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(MissingArtefact, match="train_consumer"):
        MultiInterestModel.load(tmp_path)


def test_another_space_is_refused_by_name() -> None:
    with pytest.raises(SpaceMismatch, match=r"20261105-0badcafe.*20261106-ffffffff"):
        _model().user_vectors(replace(DATA, space_id="20261106-ffffffff"))
