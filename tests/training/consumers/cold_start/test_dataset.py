from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.training.consumers.cold_start.world import NUM_USERS, two_groups
from training.consumers.cold_start.dataset import (
    encode_lists,
    encode_tokens,
    onto_items,
    padded,
    tokens_of,
    value_vocabulary,
)
from training.data.vocabulary import Vocabulary


def test_tokens_name_their_column_and_unknown_values_give_none() -> None:
    columns = {"country": [["DE"], ["unknown"]], "category": [["books", "films"], []]}
    assert tokens_of(columns) == [["country=DE", "category=books", "category=films"], []]


def test_rows_are_padded_behind_their_last_entry() -> None:
    assert padded([[3, 4], [], [5]]).tolist() == [[3, 4], [-1, -1], [5, -1]]
    assert padded([[], []], least=1).tolist() == [[-1], [-1]]


def test_lists_keep_order_and_repeats_and_lose_strangers() -> None:
    items = Vocabulary(["a", "b", "c"], "item")
    assert encode_lists([["c", "z", "a"], [], ["b", "b"], ["z"]], items).tolist() == [
        [2, 0],
        [-1, -1],
        [1, 1],
        [-1, -1],
    ]
    assert encode_lists([], items).shape == (0, 1)


def test_rare_values_get_no_row_and_repeats_count_once() -> None:
    tokens = [["a=1", "a=1"], ["a=1", "b=2"], ["b=2"], ["c=3", "c=3"]]
    values = value_vocabulary(tokens, 2)
    assert values.ids == ("a=1", "b=2")
    assert encode_tokens(tokens, values).tolist() == [[0, -1], [0, 1], [1, -1], [-1, -1]]
    assert len(value_vocabulary([], 1)) == 0


def test_a_user_held_out_has_done_nothing() -> None:
    data = two_groups()
    held_out = np.arange(NUM_USERS) < 10
    less = data.without_users(held_out)
    assert less.has_history.tolist() == (data.has_history & ~held_out).tolist()
    assert not less.x_mask_UF[:10].any()
    assert less.x_mask_UF[10:].tolist() == data.x_mask_UF[10:].tolist()
    assert data.has_history[:10].all()


def test_tables_are_cut_or_widened_to_what_a_network_reads() -> None:
    data = two_groups().as_wide_as(3, 1)
    assert data.attribute_idx_UA.shape == (NUM_USERS, 3)
    assert data.pick_idx_UP.shape == (NUM_USERS, 1)
    assert (data.attribute_idx_UA[:, 1:] == -1).all()


def test_pairs_move_to_other_items_and_lose_those_that_are_not_there() -> None:
    data = two_groups()
    rows = np.where(np.arange(60) < 30, np.arange(60) + 5, -1)
    moved = onto_items(data.pairs, rows, 40)
    kept = data.pairs.item_idx < 30
    assert moved.num_items == 40
    assert moved.item_idx.tolist() == (data.pairs.item_idx[kept] + 5).tolist()
    assert moved.user_idx.tolist() == data.pairs.user_idx[kept].tolist()


def test_what_a_log_lacks_to_tell_users_apart_is_said() -> None:
    data = two_groups()
    assert data.lack == ""
    nothing = replace(data, attribute_idx_UA=data.attribute_idx_UA * 0 - 1, pick_idx_UP=data.pick_idx_UP * 0 - 1)
    assert nothing.lack == "no user has an attribute or an onboarding pick"
    constant = replace(nothing, attribute_idx_UA=np.zeros_like(data.attribute_idx_UA))
    assert constant.lack == "every user with history has the same attributes and onboarding picks"
    some = constant.attribute_idx_UA.copy()
    some[np.flatnonzero(data.has_history)[0]] = -1
    assert replace(constant, attribute_idx_UA=some).lack == ""
    assert constant.without_users(np.ones(NUM_USERS, bool)).lack == constant.lack
