"""Lay out users' histories as the fixed-width index rows that the cold-start network reads.

Shape legend: B users, L behaviours.
"""

from __future__ import annotations

import numpy as np
import torch

from training.arrays import Indices
from training.consumers.cold_start.dataset import ABSENT, ColdStartData
from training.consumers.cold_start.network import UserTokens
from training.data.pair_log import Histories


def behaviour_rows(items: Indices, place: Indices, num_rows: int, length: int) -> Indices:
    """Return int64[B, length]: each row's newest items, oldest first, right-aligned; `ABSENT` before them.

    Args:
        items: Items row by row, oldest first within a row.
        place: The row of each, ascending.
        num_rows: B.
        length: L; a longer history loses its oldest items.
    """
    counts = np.bincount(place, minlength=num_rows)
    from_end = np.cumsum(counts)[place] - np.arange(len(place))
    kept = from_end <= length
    table = np.full((num_rows, length), ABSENT, np.int64)
    table[place[kept], length - from_end[kept]] = items[kept]
    return table


def all_tokens(data: ColdStartData, users: Indices, length: int, histories: Histories | None = None) -> UserTokens:
    """Return everything that is known of some users."""
    histories = histories or data.pairs.histories()
    rows, place = histories.rows_of(users)
    behaviours = behaviour_rows(histories.item_idx[rows], place, len(users), length)
    tables = data.attribute_idx_UA[users], data.pick_idx_UP[users], behaviours
    return UserTokens(*(torch.from_numpy(table) for table in tables))
