from __future__ import annotations

import numpy as np

from tests.training.consumers.cold_start.world import NUM_USERS, two_groups
from training.consumers.cold_start.rows import all_tokens, behaviour_rows


def test_the_newest_items_are_kept_oldest_first_and_right_aligned() -> None:
    items, place = np.array([5, 6, 7, 8]), np.array([0, 0, 0, 2])
    assert behaviour_rows(items, place, 3, 2).tolist() == [[6, 7], [-1, -1], [-1, 8]]


def test_nobody_and_nothing() -> None:
    none = np.zeros(0, np.int64)
    assert behaviour_rows(none, none, 2, 3).tolist() == [[-1] * 3] * 2


def test_tokens_hold_everything_known_of_the_users_asked_for() -> None:
    data = two_groups()
    users = np.array([NUM_USERS - 1, 3])
    tokens = all_tokens(data, users, 10)
    assert tokens.is_new.tolist() == [True, False]
    assert tokens.attribute_idx_BA.tolist() == data.attribute_idx_UA[users].tolist()
    assert sorted(tokens.behaviour_idx_BL[1].tolist())[2:] == sorted(
        data.pairs.item_idx[data.pairs.user_idx == 3].tolist()
    )
