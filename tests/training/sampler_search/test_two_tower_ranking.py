"""The two towers behind the ranking protocol, against their own reading of histories."""

import numpy as np
import torch

from training.data.pair_log import PairLog
from training.ranking.history_encoders import HistoryConfig
from training.ranking.two_tower import TwoTowerConfig
from training.sampler_search.two_tower_ranking import TwoTowerRanking

PAIRS = PairLog(
    user_idx=np.array([0, 0, 0, 1]),
    item_idx=np.array([0, 1, 2, 2]),
    occurred_at=np.arange(4),
    num_users=3,
    num_items=4,
    as_of=4,
)
CONFIG = TwoTowerConfig(width=3, history=HistoryConfig(encoder="mean"))


def _model():
    torch.manual_seed(0)
    return TwoTowerRanking(PAIRS, CONFIG)


def test_scores_are_those_of_the_towers():
    model = _model()
    model.tower.item_bias.data = torch.tensor([0.1, 0.2, 0.3, 0.4])
    vectors = model.all_vectors(3)
    tower = model.tower
    users = tower.users(torch.tensor([[0, 1, 2], [2, 0, 0]]), torch.tensor([[True] * 3, [True, False, False]]))
    expected = tower.scale * users @ tower.items().T + tower.item_bias
    assert torch.allclose(vectors.users_BD[:2] @ vectors.items_ID.T, expected, atol=1e-5)


def test_the_scored_positive_is_left_out_of_the_history():
    model = _model()
    without = model(torch.tensor([0]), torch.tensor([1])).users_BD
    expected = model.tower.users(torch.tensor([[0, 2]]), torch.ones(1, 2, dtype=torch.bool)) * model.tower.scale
    assert torch.allclose(without[:, :3], expected, atol=1e-5)


def test_users_with_nothing_else_to_read_have_item_terms_alone():
    model = _model()
    users = model(torch.tensor([1]), torch.tensor([2])).users_BD
    assert torch.allclose(users, torch.tensor([[0.0, 0.0, 0.0, 1.0]]), atol=1e-5)
    assert torch.isfinite(model.all_vectors(3).users_BD).all()
