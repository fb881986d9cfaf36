from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.ranking.world import two_tastes
from training.consumers.matching.model import MatchingModel, fold_items, fold_users, user_directions
from training.consumers.matching.successors import Successors
from training.contracts.errors import MissingArtefact
from training.data.pair_log import PairLog
from training.ranking.calibration import Calibration, learned_terms
from training.ranking.history_encoders import HistoryConfig
from training.ranking.history_rows import encode_rows
from training.ranking.two_tower import TwoTower, TwoTowerConfig

PAIRS = two_tastes().pairs()


def _tower() -> TwoTower:
    torch.manual_seed(0)
    return TwoTower(TwoTowerConfig(width=6), PAIRS.num_items).eval()


def test_folded_vectors_multiply_to_the_score() -> None:
    tower = _tower()
    calibration = Calibration(gamma=0.5, user_weights=(1.0, 0, 0, 0, 0), activity_power=0.5, successor_weight=3.0)
    rng = np.random.default_rng(0)
    successors = Successors(*(rng.normal(size=(40, 3)).astype(np.float32) for _ in range(2)))
    users, item_terms, counts = user_directions(tower, PAIRS), np.arange(40.0) / 7, PAIRS.user_counts()
    folded = fold_users(users, tower, calibration, PAIRS, successors)
    product = folded @ fold_items(tower, item_terms, successors).T
    sure = 0.5 * 10 * np.sqrt(counts / counts.mean())[:, None] * users @ tower.items().detach().numpy().T
    follows = 0.5 * 3 * successors.users(PAIRS) @ successors.following_IR.T
    np.testing.assert_allclose(
        product, sure + follows + np.log(counts + 0.5)[:, None] + item_terms[None, :], rtol=1e-5, atol=1e-5
    )


def test_directions_do_not_depend_on_the_chunk() -> None:
    tower = _tower()
    np.testing.assert_allclose(user_directions(tower, PAIRS), user_directions(tower, PAIRS, chunk=7), atol=1e-6)


def test_directions_keep_the_order_of_users_of_any_length() -> None:
    lengths = [3, 0, 1, 2]
    users = np.repeat(np.arange(4), lengths)
    pairs = PairLog.of(users, np.arange(6), np.arange(6), 4, 6)
    torch.manual_seed(0)
    tower = TwoTower(TwoTowerConfig(width=6, history=HistoryConfig(encoder="self_attention")), 6).eval()
    found = user_directions(tower, pairs, chunk=2)
    for user, length in enumerate(lengths):
        expected = encode_rows(tower, np.flatnonzero(users == user), np.zeros(length, np.int64), 1).detach().numpy()[0]
        np.testing.assert_allclose(found[user], expected, atol=1e-6)
    assert not found[1].any()


def test_an_untrained_item_bias_learned_nothing() -> None:
    tower = _tower()
    tower.start_from(torch.zeros(40, 6), torch.from_numpy(np.log(PAIRS.item_counts() + 0.5)).float())
    np.testing.assert_allclose(learned_terms(tower.item_bias, PAIRS), 0, atol=1e-6)


def test_loading_from_nowhere_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(MissingArtefact, match="train_consumer"):
        MatchingModel.load(tmp_path)
