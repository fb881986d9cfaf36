"""Feed histories that stand end to end to the user tower: padded for sequence encoders, as weights for pooled means.

Shape legend: M items of all users end to end, B users, L padded length, D width.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.arrays import Floats, Indices
from training.ranking.two_tower import TwoTower


def encode_rows(model: TwoTower, item_idx: Indices, place: Indices, num_users: int) -> Tensor:
    """Return float[B, D]: the users whose items (oldest first) stand end to end, `place` ascending."""
    history = model.config.history
    if model.history.is_pooled:
        decay = history.decay if history.encoder == "recency_mean" else 1.0
        weights = pooling_weights(place, num_users, decay, history.max_length)
        offsets = np.searchsorted(place, np.arange(num_users))
        return model.pooled_users(*(torch.from_numpy(part) for part in (item_idx, offsets, weights)))
    padded, mask = pad(item_idx, place, num_users, history.max_length)
    return model.users(torch.from_numpy(padded), torch.from_numpy(mask))


def pooling_weights(place: Indices, num_users: int, decay: float, max_length: int) -> Floats:
    """Return float32[M]: decay ** (number of the user's newer items), summing to 1 per user; 0 past `max_length`."""
    newer = num_newer(place, num_users)
    weights = np.where(newer < max_length, float(decay) ** np.minimum(newer, max_length), 0.0)
    return np.asarray(weights / np.bincount(place, weights, minlength=num_users)[place], np.float32)


def num_newer(place: Indices, num_users: int) -> Indices:
    """Return int64[M]: how many newer rows each row's user has."""
    return np.cumsum(np.bincount(place, minlength=num_users))[place] - 1 - np.arange(len(place))


def pad(item_idx: Indices, place: Indices, num_users: int, max_length: int) -> tuple[Indices, npt.NDArray[np.bool_]]:
    """Return the newest `max_length` items of each user as int64[B, L], oldest first, and the mask bool[B, L]."""
    lengths = np.bincount(place, minlength=num_users)
    newer = num_newer(place, num_users)
    kept = np.minimum(lengths, max_length)
    width = max(int(kept.max(initial=0)), 1)
    padded, mask = np.zeros((num_users, width), np.int64), np.zeros((num_users, width), np.bool_)
    rows = newer < max_length
    column = kept[place[rows]] - 1 - newer[rows]
    padded[place[rows], column], mask[place[rows], column] = item_idx[rows], True
    return padded, mask
