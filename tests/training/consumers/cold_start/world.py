"""Two groups of users told apart by one attribute, each of which likes its own half of the items."""

from __future__ import annotations

import numpy as np

from training.consumers.cold_start.dataset import ColdStartData, encode_tokens, value_vocabulary
from training.consumers.cold_start.network import ColdStartModelConfig
from training.consumers.cold_start.search import ColdStartConfig
from training.consumers.cold_start.train import ColdStartTrainingConfig
from training.consumers.cold_start.zero_shot import ZeroShotConfig
from training.data.pair_log import PairLog
from training.data.vocabulary import Vocabulary

NUM_USERS, NUM_ITEMS, PER_USER, NUM_COLUMNS = 60, 60, 8, 6
SMALL_TOWER = ZeroShotConfig(attention=8, encoder=(16, 8, 8), decoder=(8, 16), dropout=0.0, num_behaviours=6)
TINY = ColdStartConfig(
    model=ColdStartModelConfig(width=8, zero_shot=SMALL_TOWER, user_hidden=8, hidden=(16, 8), dropout=0.0),
    training=ColdStartTrainingConfig(learning_rate=0.02, batch_size=16, history_length=10),
    max_epochs=15,
    patience=15,
)


def two_groups(num_cold: int = 4, seed: int = 3) -> ColdStartData:
    """Return users 0..59, group = number modulo 2; the last `num_cold` have no pairs, user 0 no attribute."""
    rng = np.random.default_rng(seed)
    tokens = [[f"group={user % 2}"] if user else [] for user in range(NUM_USERS)]
    values = value_vocabulary(tokens, 2)
    half = NUM_ITEMS // 2
    pairs = [
        (user, int(item) + half * (user % 2))
        for user in range(NUM_USERS - num_cold)
        for item in rng.choice(half, PER_USER, replace=False)
    ]
    order = rng.permutation(len(pairs))
    users, items = np.array(pairs, np.int64)[order].T
    picks = np.full((NUM_USERS, 2), -1, np.int64)
    picks[1::2, 0] = NUM_ITEMS - 1
    x_UF = rng.normal(size=(NUM_USERS, NUM_COLUMNS)).astype(np.float32)
    x_UF[:, 0] = np.arange(NUM_USERS) % 2
    mask = np.ones((NUM_USERS, NUM_COLUMNS), bool)
    data = ColdStartData(
        items=Vocabulary([f"i{item:02d}" for item in range(NUM_ITEMS)], "item"),
        values=values,
        attribute_idx_UA=encode_tokens(tokens, values),
        pick_idx_UP=picks,
        pairs=PairLog(
            user_idx=users,
            item_idx=items,
            occurred_at=np.arange(len(users), dtype=np.int64),
            num_users=NUM_USERS,
            num_items=NUM_ITEMS,
            as_of=len(users),
        ),
        item_vectors_IE=rng.normal(size=(NUM_ITEMS, 5)).astype(np.float32),
        x_UF=x_UF,
        x_mask_UF=mask,
    )
    return data.without_users(~data.has_history)
