"""Let the two towers be trained by the sampled ranking loop: mean history against item, the scored positive left out.

Shape legend: U users, I items, B users of a batch, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.data.pair_log import PairLog
from training.ranking.two_tower import TwoTower, TwoTowerConfig
from training.sampler_search.fixed_matrix import FixedMatrix
from training.sampler_search.ranking_model import RankingModel, RankingVectors


class TwoTowerRanking(RankingModel):
    """The towers of `matching` with the mean as history encoder; scale and item terms folded into the vectors.

    The mean over a user's other items needs no second reading of the history: its sum less the item in question has
    the same direction, and the tower keeps the direction alone.
    """

    def __init__(self, pairs: PairLog, config: TwoTowerConfig) -> None:
        """Draw the towers from torch's generator; `pairs` are the histories."""
        super().__init__()
        self.tower = TwoTower(config, pairs.num_items)
        self.histories = FixedMatrix(pairs.matrix())

    def forward(self, user_idx_B: Tensor, hidden_item_idx_B: Tensor | None = None) -> RankingVectors:
        """Return float[B, D + 1] and float[I, D + 1], the last column being the item terms."""
        table = self.tower.history_items.weight
        sums_BD = (self.histories @ table)[user_idx_B]
        if hidden_item_idx_B is not None:
            sums_BD = sums_BD - table[hidden_item_idx_B]
        users_BD = F.normalize(sums_BD, dim=1) * self.tower.scale
        items_ID = torch.cat([self.tower.items(), self.tower.item_bias[:, None]], dim=1)
        return RankingVectors(torch.cat([users_BD, torch.ones(len(users_BD), 1)], dim=1), items_ID)
