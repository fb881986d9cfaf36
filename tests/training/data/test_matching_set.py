from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.training.search.matching_world import two_tastes


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
