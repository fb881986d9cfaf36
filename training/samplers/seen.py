"""Tell which items a user has interacted with, so that no known positive is drawn as a negative.

Shape legend: U users, I items, P known pairs, B rows, N draws of a row.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.arrays import Indices

BITMAP_CELLS = 2**26
"""Up to this many cells a table of flags answers at once; beyond it the sorted pairs are searched."""


class Seen:
    """The known pairs of a training log."""

    def __init__(self, user_idx: Indices, item_idx: Indices, num_users: int, num_items: int) -> None:
        """Hold distinct pairs of int64[P] each; repetitions count once."""
        self.num_users, self.num_items = num_users, num_items
        self.keys = torch.from_numpy(np.unique(user_idx.astype(np.int64) * num_items + item_idx.astype(np.int64)))
        self.counts_U = torch.bincount(self.keys // num_items, minlength=num_users)
        self._flags: Tensor | None = None
        if num_users * num_items <= BITMAP_CELLS:
            self._flags = torch.zeros(num_users * num_items, dtype=torch.bool)
            self._flags[self.keys] = True

    @classmethod
    def nothing(cls, num_users: int, num_items: int) -> Seen:
        """Return what leaves every item drawable, known positives among them."""
        none = np.zeros(0, np.int64)
        return cls(none, none, num_users, num_items)

    def contains(self, user_idx: Tensor, item_idx: Tensor) -> Tensor:
        """Return bool of the broadcast shape: whether each user has interacted with each item."""
        keys = user_idx * self.num_items + item_idx
        if self._flags is not None:
            return self._flags[keys]
        if not len(self.keys):
            return torch.zeros_like(keys, dtype=torch.bool)
        at = torch.searchsorted(self.keys, keys).clamp(max=len(self.keys) - 1)
        return self.keys[at] == keys

    def mass(self, weight_I: Tensor) -> Tensor:
        """Return float64[U]: the summed weights of each user's known items."""
        weights = weight_I.double()[self.keys % self.num_items]
        return torch.zeros(self.num_users, dtype=torch.float64).index_add_(0, self.keys // self.num_items, weights)
