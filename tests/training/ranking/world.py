"""A small log with two tastes: users of a group meet items of their group, the second half of a group's items later."""

from __future__ import annotations

import numpy as np

from training.data.vocabulary import Vocabulary
from training.ranking.dataset import EarlierVectors, RankingDataset

NUM_USERS, NUM_ITEMS = 60, 40
DAY = 86_400


def two_tastes(seed: int = 0, space_id: str = "20261105-0badcafe") -> RankingDataset:
    """Return a log of 60 users and 40 items whose vectors z tell the group, exactly."""
    rng = np.random.default_rng(seed)
    users, items = np.repeat(np.arange(NUM_USERS), 12), np.empty(NUM_USERS * 12, np.int64)
    for user in range(NUM_USERS):
        group = np.arange(NUM_ITEMS // 2) + (user % 2) * NUM_ITEMS // 2
        items[user * 12 : user * 12 + 12] = rng.choice(group, 12, replace=False)
    times = np.sort(rng.integers(0, 60 * DAY, len(users)))
    order = rng.permutation(len(users))
    z = np.eye(2, dtype=np.float32)[np.arange(NUM_USERS) % 2]
    return RankingDataset(
        users=Vocabulary([f"u{i:03d}" for i in range(NUM_USERS)], "user"),
        items=Vocabulary([f"i{i:03d}" for i in range(NUM_ITEMS)], "item"),
        user_idx=users[order].astype(np.int32),
        item_idx=items[order].astype(np.int32),
        occurred_at=times,
        z_UZ=z,
        item_vectors_IE=np.zeros((NUM_ITEMS, 2), np.float32),
        as_of=60 * DAY,
        space_id=space_id,
        earlier=EarlierVectors(as_of=30 * DAY, z_UZ=z),
    )


def same_group(data: RankingDataset) -> np.ndarray:
    """Return bool[U, I]: whether user and item are of one group."""
    users = np.arange(len(data.users)) % 2
    return users[:, None] == (np.arange(len(data.items)) >= NUM_ITEMS // 2)[None, :]
