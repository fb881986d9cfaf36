from __future__ import annotations

import numpy as np
import pytest
import torch

from training.ranking.history_encoders import HistoryConfig
from training.ranking.history_rows import encode_rows, pad, pooling_weights
from training.ranking.two_tower import TwoTower, TwoTowerConfig

ITEMS = np.array([5, 6, 7, 9], np.int64)
PLACE = np.array([0, 0, 0, 2], np.int64)


def test_padding_keeps_the_newest_oldest_first() -> None:
    padded, mask = pad(ITEMS, PLACE, 3, max_length=2)
    assert padded.tolist() == [[6, 7], [0, 0], [9, 0]]
    assert mask.tolist() == [[True, True], [False, False], [True, False]]


def test_no_rows_pad_to_one_empty_column() -> None:
    padded, mask = pad(ITEMS[:0], PLACE[:0], 2, max_length=5)
    assert padded.shape == (2, 1)
    assert not mask.any()


def test_pooling_weights_halve_and_sum_to_one() -> None:
    np.testing.assert_allclose(pooling_weights(PLACE, 3, 0.5, 200), [1 / 7, 2 / 7, 4 / 7, 1], rtol=1e-6)
    np.testing.assert_allclose(pooling_weights(PLACE, 3, 0.5, 2), [0, 1 / 3, 2 / 3, 1], rtol=1e-6)


@pytest.mark.parametrize("encoder", ["mean", "recency_mean"])
def test_pooled_rows_equal_padded_users(encoder: str) -> None:
    torch.manual_seed(0)
    history = HistoryConfig(encoder=encoder, max_length=2)  # type: ignore[arg-type]
    tower = TwoTower(TwoTowerConfig(width=4, history=history), 10).eval()
    padded, mask = pad(ITEMS, PLACE, 3, 2)
    expected = tower.users(torch.from_numpy(padded), torch.from_numpy(mask))
    torch.testing.assert_close(encode_rows(tower, ITEMS, PLACE, 3), expected)


def test_sequence_encoders_take_the_padded_way() -> None:
    tower = TwoTower(TwoTowerConfig(width=4, history=HistoryConfig(encoder="gru")), 10).eval()
    users = encode_rows(tower, ITEMS, PLACE, 3)
    torch.testing.assert_close(users.norm(dim=1), torch.tensor([1.0, 0.0, 1.0]))
