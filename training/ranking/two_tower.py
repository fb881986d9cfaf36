"""Score users and items by one inner product that serves recommendation and targeting alike.

Shape legend: B users, L history, C candidates, I items, D width.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.ranking.history_encoders import HistoryConfig, HistoryEncoder


@dataclass(frozen=True, kw_only=True)
class TwoTowerConfig:
    """Sizes of the two towers.

    Attributes:
        width: D, the width of both towers' outputs before biases are folded in.
        temperature: tau at the start; the scale 1 / tau is learned on.
        history: The encoder of a user's items.
        one_table: Whether items are scored by the vectors that histories are made of.
    """

    width: int = 128
    temperature: float = 0.1
    history: HistoryConfig = field(default_factory=HistoryConfig)
    one_table: bool = False


class TwoTower(nn.Module):
    """phi(u, i) = <u, v> / tau + b_u + b_i, with u and v L2-normalised.

    Items have two vectors, one that histories are made of and one that is scored, or one for both: half the weights,
    which a sequence encoder fits less closely to the training period. b_u is a learned multiple of the log of the
    number of items read; b_i is free per item.
    """

    def __init__(self, config: TwoTowerConfig, num_items: int) -> None:
        super().__init__()
        self.config = config
        self.history_items = nn.Embedding(num_items, config.width)
        self.scored_items = self.history_items if config.one_table else nn.Embedding(num_items, config.width)
        self.history = HistoryEncoder(config.history, config.width)
        self.item_bias = nn.Parameter(torch.zeros(num_items))
        self.activity = nn.Parameter(torch.ones(()))
        self.log_scale = nn.Parameter(torch.log(torch.tensor(1.0 / config.temperature)))

    @torch.no_grad()
    def start_from(self, items_ID: Tensor, item_bias_I: Tensor, scored_ID: Tensor | None = None) -> None:
        """Set both id tables to float[I, D], the scored one to another where given, and the item terms to float[I].

        One table for both takes the directions halfway between the two.
        """
        scored_ID = items_ID if scored_ID is None else scored_ID
        if self.config.one_table:
            items_ID = scored_ID = F.normalize(items_ID + scored_ID, dim=1)
        self.history_items.weight.copy_(items_ID)
        self.scored_items.weight.copy_(scored_ID)
        self.item_bias.copy_(item_bias_I)

    def users(self, item_idx_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """Return float[B, D], L2-normalised; a user without items gets zeros.

        Args:
            item_idx_BL: int64[B, L], oldest first; any valid index on padded places.
            mask_BL: bool[B, L], true on real items, which come first.
        """
        return F.normalize(self.history(self.history_items(item_idx_BL), mask_BL), dim=1)

    def positions(self, item_idx_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """Return float[B, L, D], L2-normalised: the user as of each item, for encoders that read in order.

        Args:
            item_idx_BL: int64[B, L], oldest first; any valid index on padded places.
            mask_BL: bool[B, L], true on real items, which come first.
        """
        items_BLD = self.history_items(item_idx_BL).masked_fill(~mask_BL[..., None], 0.0)
        return F.normalize(self.history.sequence(items_BLD), dim=2)

    def pooled_users(self, item_idx_M: Tensor, offsets_B: Tensor, weights_M: Tensor) -> Tensor:
        """Return float[B, D] as `users` does for the two means, without padding.

        Args:
            item_idx_M: int64[M], the users' items end to end.
            offsets_B: int64[B], where each user starts.
            weights_M: float[M], pooling weights.
        """
        table = self.history_items.weight
        pooled = F.embedding_bag(item_idx_M, table, offsets_B, mode="sum", per_sample_weights=weights_M)
        return F.normalize(pooled, dim=1)

    def items(self, item_idx_C: Tensor | None = None) -> Tensor:
        """Return float[C, D], L2-normalised; all items without an argument."""
        table = self.scored_items.weight if item_idx_C is None else self.scored_items(item_idx_C)
        return F.normalize(table, dim=1)

    @property
    def scale(self) -> Tensor:
        """1 / tau."""
        return self.log_scale.exp()

    def user_bias(self, num_items_read_B: Tensor) -> Tensor:
        """Return float[B]: the learned multiple of log(number of items read)."""
        return self.activity * torch.log(num_items_read_B.clamp(min=0.5))
