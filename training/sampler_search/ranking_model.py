"""Say what the sampled ranking loop needs of a model: vectors whose inner product ranks, as a function of weights.

Shape legend: B users of a batch, I items, L layers, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class RankingVectors(NamedTuple):
    """Both sides as the current weights give them, with gradient.

    Attributes:
        users_BD: float[B, D], terms and scale folded in.
        items_ID: float[I, D], every item.
        item_layers_LID: float[L, I, D] whose mean is `items_ID`, for graph models; None for one layer.
    """

    users_BD: Tensor
    items_ID: Tensor
    item_layers_LID: Tensor | None = None


class RankingModel(nn.Module):
    """A model over index spaces that a training log fixes; matrix factorisation, LightGCN and two-tower are ones."""

    def forward(self, user_idx_B: Tensor, hidden_item_idx_B: Tensor | None = None) -> RankingVectors:
        """Return the vectors of some users and of all items.

        Args:
            user_idx_B: int64[B].
            hidden_item_idx_B: int64[B], a known positive of each user that is about to be scored. Models that read a
                user's history leave it out of that reading; others ignore it.
        """
        raise NotImplementedError

    @torch.no_grad()
    def all_vectors(self, num_users: int) -> RankingVectors:
        """Return every user's and every item's vectors, without gradient, as for serving."""
        users_UD, items_ID, _ = self(torch.arange(num_users))
        return RankingVectors(users_UD.detach(), items_ID.detach())
