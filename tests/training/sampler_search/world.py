"""A log with two tastes: twenty users of each, ten items of each, and which of them is held out is drawn."""

import numpy as np
import torch

from training.data.pair_log import PairLog
from training.sampler_search.matrix_factorisation import MatrixFactorisation
from training.sampler_search.sampled_ranking import SampledRankingConfig

NUM_USERS, NUM_ITEMS = 40, 20
TRAINING = SampledRankingConfig(batch_pairs=64, learning_rate=0.05, max_epochs=6, evaluate_every=2, patience=2)


def log(user_idx, item_idx):
    return PairLog(
        user_idx=np.asarray(user_idx, np.int64),
        item_idx=np.asarray(item_idx, np.int64),
        occurred_at=np.arange(len(user_idx), dtype=np.int64),
        num_users=NUM_USERS,
        num_items=NUM_ITEMS,
        as_of=len(user_idx),
    )


def halves(seed=0):
    """Six items of the own taste to learn from, two held out."""
    rng = np.random.default_rng(seed)
    known, held_out = [], []
    for user in range(NUM_USERS):
        liked = rng.permutation(10)[:8] + 10 * (user % 2)
        known += [(user, item) for item in liked[:6]]
        held_out += [(user, item) for item in liked[6:]]
    return log(*zip(*known, strict=True)), log(*zip(*held_out, strict=True))


def make_model():
    torch.manual_seed(0)
    return MatrixFactorisation(NUM_USERS, NUM_ITEMS, 4)
