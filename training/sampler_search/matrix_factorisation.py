"""Factorise the interaction matrix: one free vector per user and per item."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.sampler_search.ranking_model import RankingModel, RankingVectors


class MatrixFactorisation(RankingModel):
    """score(u, i) = <p_u, q_i>."""

    def __init__(self, num_users: int, num_items: int, width: int, start_deviation: float = 0.1) -> None:
        """Draw both tables from torch's generator, normal with the given deviation."""
        super().__init__()
        self.user_table = nn.Parameter(torch.randn(num_users, width) * start_deviation)
        self.item_table = nn.Parameter(torch.randn(num_items, width) * start_deviation)

    def forward(self, user_idx_B: Tensor, hidden_item_idx_B: Tensor | None = None) -> RankingVectors:
        """Return rows of the tables; see `RankingModel`."""
        return RankingVectors(self.user_table[user_idx_B], self.item_table)
