from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.training.ranking.world import two_tastes
from training.data.vocabulary import Vocabulary
from training.ranking.dataset import EarlierVectors


def test_pairs_are_distinct_and_keep_their_last_time() -> None:
    data = two_tastes()
    doubled = replace(
        data,
        user_idx=np.concatenate([data.user_idx, data.user_idx[:3]]),
        item_idx=np.concatenate([data.item_idx, data.item_idx[:3]]),
        occurred_at=np.concatenate([data.occurred_at, np.full(3, data.as_of - 1)]),
    )
    pairs = doubled.pairs()
    assert len(pairs) == len(data.user_idx)
    assert pairs.occurred_at[-3:].tolist() == [data.as_of - 1] * 3
    np.testing.assert_array_equal(pairs.matrix().toarray(), data.pairs().matrix().toarray())


def test_pairs_know_every_rankable_id_and_the_bound_of_time() -> None:
    data = two_tastes()
    pairs = data.pairs()
    assert (pairs.num_users, pairs.num_items, pairs.as_of) == (len(data.users), len(data.items), data.as_of)
    assert pairs.user_idx.dtype == np.int64


def test_pairs_over_other_items_pass_over_what_they_lack() -> None:
    data = two_tastes()
    ids = list(data.items.ids)
    fewer = Vocabulary(["a new one", *ids[1:]], "item")
    pairs = data.pairs_over(fewer)
    assert len(pairs) == len(data.pairs()) - int((data.pairs().item_idx == 0).sum())
    assert pairs.num_items == len(fewer)
    names = {fewer.ids[idx] for idx in pairs.item_idx}
    assert names == {ids[idx] for idx in data.pairs().item_idx} - {ids[0]}
    np.testing.assert_array_equal(data.pairs_over(data.items).item_idx, data.pairs().item_idx)


def test_content_is_the_second_half_of_the_item_vectors() -> None:
    data = replace(two_tastes(), item_vectors_IE=np.arange(160, dtype=np.float32).reshape(40, 4))
    assert data.content_vectors[0].tolist() == [2, 3]


def test_earlier_vectors_are_known_from_the_end_of_their_day_on() -> None:
    z_UZ = np.ones((2, 3), np.float32)
    data = replace(two_tastes(), earlier=EarlierVectors(as_of=100, z_UZ=z_UZ))
    assert data.known_before(100) is z_UZ
    assert data.known_before(99) is None
    assert replace(data, earlier=None).known_before(100) is None
