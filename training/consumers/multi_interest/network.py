"""Give a user several vectors, each by a tower of its own, and an item one vector, from its id and its features.

After "Multi-tower multi-interest recommendation with user representation repel" (arXiv 2403.05122), of which only the
abstract is known: the towers, their pooling and the start are a reconstruction, and every choice is a field.

Shape legend: B users, K interests, P pools (K, or 1 of a shared trunk), M shown items of all users end to end, L of the
longest, I items, E width of an item's features, D width, H hidden width, C candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.arrays import Indices
from training.ranking.history_rows import pad


@dataclass(frozen=True, kw_only=True)
class MultiInterestConfig:
    """Sizes of the towers.

    Attributes:
        num_interests: K, vectors of a user.
        width: D of every vector.
        hidden: H of each tower's hidden layer.
        temperature: tau at the start; the scale 1 / tau is learned on.
        decay: Weight of an item relative to the next newer one before attention; learned on, one a tower.
        max_length: Newest items that are read.
        query_start: Attention queries start at clusters of items, or at random directions that tell little apart.
        sharpness: Length of the attention queries at the start, in units of an item's logit.
        shared_trunk: One pooling and one hidden layer for all interests, with a head for each, instead of towers.
        item_features: Whether the item tower reads features beside the id.
    """

    num_interests: int = 4
    width: int = 64
    hidden: int = 64
    temperature: float = 0.1
    decay: float = 0.9
    max_length: int = 200
    query_start: Literal["clusters", "random"] = "clusters"
    sharpness: float = 6.0
    shared_trunk: bool = False
    item_features: bool = True


@dataclass(frozen=True, kw_only=True)
class ShownItems:
    """What some users have interacted with, a row each, oldest first.

    Attributes:
        item_idx_BL: int64[B, L]; padded at the end.
        num_items_B: int64[B], how many of a row are items.
    """

    item_idx_BL: Tensor
    num_items_B: Tensor

    def num_newer(self) -> Tensor:
        """Return float[B, L]: how many newer items the user has; negative at padding."""
        place_L = torch.arange(self.item_idx_BL.shape[1])
        return (self.num_items_B[:, None] - 1 - place_L).float()


def shown_items(item_idx_M: Indices, place_M: Indices, num_users: int, max_length: int) -> ShownItems:
    """Return the newest `max_length` items of each user as the towers read them.

    Args:
        item_idx_M: int64[M], oldest first within a user.
        place_M: int64[M], ascending place of each row's user.
        num_users: B.
        max_length: Newest items that are read.
    """
    padded, mask = pad(item_idx_M, place_M, num_users, max_length)
    return ShownItems(item_idx_BL=torch.from_numpy(padded), num_items_B=torch.from_numpy(mask.sum(axis=1)))


class UserTowers(nn.Module):
    """K towers over the same history: own attention pooling, own residual network."""

    def __init__(self, config: MultiInterestConfig) -> None:
        super().__init__()
        self.config = config
        pools = 1 if config.shared_trunk else config.num_interests
        self.queries = nn.Parameter(torch.zeros(pools, config.width))
        decay = torch.tensor(max(1.0 / config.decay - 1.0, 1e-3))
        self.log_decay = nn.Parameter(torch.log(decay).repeat(pools))
        self.into_hidden = nn.Parameter(torch.randn(pools, config.width, config.hidden) * config.width**-0.5)
        self.hidden_bias = nn.Parameter(torch.zeros(pools, config.hidden))
        spread = config.hidden**-0.5 if config.shared_trunk else 0.0
        self.out_of_hidden = nn.Parameter(torch.randn(config.num_interests, config.hidden, config.width) * spread)

    def forward(self, table_ID: Tensor, shown: ShownItems) -> Tensor:
        """Return float[B, K, D], L2-normalised; a user without items gets zeros."""
        pooled_BPD = torch.bmm(self.attention(table_ID, shown), F.embedding(shown.item_idx_BL, table_ID))
        hidden = F.gelu(torch.einsum("bpd,pdh->bph", pooled_BPD, self.into_hidden) + self.hidden_bias)
        if self.config.shared_trunk:
            hidden = hidden.expand(-1, self.config.num_interests, -1)
        moved = torch.einsum("bkh,khd->bkd", hidden, self.out_of_hidden)
        known = (shown.num_items_B > 0).to(moved.dtype)
        return F.normalize(pooled_BPD + moved, dim=2) * known[:, None, None]

    def attention(self, table_ID: Tensor, shown: ShownItems) -> Tensor:
        """Return float[B, P, L]: what each item weighs in each pool of its user; 0 at padding, else summing to 1."""
        logits_PI = self.queries @ table_ID.T
        newer_BL = shown.num_newer()
        logits = logits_PI[:, shown.item_idx_BL].transpose(0, 1) - newer_BL[:, None] * self.log_decay.exp()[:, None]
        return torch.softmax(logits.masked_fill((newer_BL < 0)[:, None], -1e9), dim=2)


class MultiInterest(nn.Module):
    """s(u, i) = max_k <u_k, v_i> / tau + b_u + b_i, every vector L2-normalised.

    Items have two vectors: one that histories are made of, one that is scored, which is free per item plus a linear
    map of the item's features. b_u is a learned multiple of the log of the number of items read; b_i is free per item.
    """

    features_IE: Tensor

    def __init__(self, config: MultiInterestConfig, features_IE: Tensor) -> None:
        super().__init__()
        self.config = config
        num_items, num_features = features_IE.shape
        self.register_buffer("features_IE", features_IE)
        self.history_items = nn.Embedding(num_items, config.width)
        self.scored_items = nn.Embedding(num_items, config.width)
        self.from_features = nn.Parameter(torch.zeros(num_features, config.width), requires_grad=config.item_features)
        self.towers = UserTowers(config)
        self.item_bias = nn.Parameter(torch.zeros(num_items))
        self.activity = nn.Parameter(torch.ones(()))
        self.log_scale = nn.Parameter(torch.log(torch.tensor(1.0 / config.temperature)))

    def users(self, shown: ShownItems) -> Tensor:
        """Return float[B, K, D], L2-normalised; a user without items gets zeros."""
        interests: Tensor = self.towers(self.history_items.weight, shown)
        return interests

    def items(self, item_idx_C: Tensor | None = None) -> Tensor:
        """Return float[C, D], L2-normalised; all items without an argument."""
        ids = self.scored_items.weight if item_idx_C is None else self.scored_items(item_idx_C)
        features = self.features_IE if item_idx_C is None else self.features_IE[item_idx_C]
        return F.normalize(ids + features @ self.from_features, dim=1)

    def directions_of(self, features_CE: Tensor) -> Tensor:
        """Return float[C, D], L2-normalised: where items stand by their features alone; zeros without any."""
        return F.normalize(features_CE @ self.from_features, dim=1)

    @property
    def scale(self) -> Tensor:
        """1 / tau."""
        return self.log_scale.exp()

    def user_bias(self, num_items_read_B: Tensor) -> Tensor:
        """Return float[B]: the learned multiple of log(number of items read)."""
        return self.activity * torch.log(num_items_read_B.clamp(min=0.5))
