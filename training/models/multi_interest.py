"""Give a user several vectors, each by a tower of its own, and an item one vector, from its id and its features.

After "Multi-tower multi-interest recommendation with user representation repel" (arXiv 2403.05122), of which only the
abstract is known: the towers, their pooling and the start are a reconstruction, and every choice is a field.

Shape legend: B users, K interests, M shown items of all users end to end, I items, E width of an item's features,
D width, H hidden width, C candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.models.history_rows import num_newer

Indices = npt.NDArray[np.int64]


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
    """What some users have met, oldest first, end to end.

    Attributes:
        item_idx_M: int64[M].
        place_M: int64[M], ascending place of each row's user.
        newer_M: float[M], how many newer items the user has.
        num_users: B.
    """

    item_idx_M: Tensor
    place_M: Tensor
    newer_M: Tensor
    num_users: int


def shown_items(item_idx_M: Indices, place_M: Indices, num_users: int) -> ShownItems:
    """Return rows as the towers read them: int64[M] items, oldest first within int64[M] ascending user places."""
    newer = num_newer(place_M, num_users).astype(np.float32)
    return ShownItems(
        item_idx_M=torch.from_numpy(item_idx_M),
        place_M=torch.from_numpy(place_M),
        newer_M=torch.from_numpy(newer),
        num_users=num_users,
    )


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
        weights_MP = self.attention(table_ID, shown)
        offsets = torch.searchsorted(shown.place_M, torch.arange(shown.num_users))
        pooled = [
            F.embedding_bag(shown.item_idx_M, table_ID, offsets, mode="sum", per_sample_weights=weights)
            for weights in weights_MP.T.contiguous()
        ]
        pooled_BPD = torch.stack(pooled, dim=1)
        hidden = F.gelu(torch.einsum("bpd,pdh->bph", pooled_BPD, self.into_hidden) + self.hidden_bias)
        if self.config.shared_trunk:
            hidden = hidden.expand(-1, self.config.num_interests, -1)
        moved = torch.einsum("bkh,khd->bkd", hidden, self.out_of_hidden)
        known = (torch.bincount(shown.place_M, minlength=shown.num_users) > 0).to(moved.dtype)
        return F.normalize(pooled_BPD + moved, dim=2) * known[:, None, None]

    def attention(self, table_ID: Tensor, shown: ShownItems) -> Tensor:
        """Return float[M, P]: the pooling weights of each row in each pool; those of a user and pool sum to 1."""
        logits_IP = table_ID @ self.queries.T
        logits = logits_IP[shown.item_idx_M] - shown.newer_M[:, None] * self.log_decay.exp()
        logits = logits.masked_fill((shown.newer_M >= self.config.max_length)[:, None], -1e9)
        place = shown.place_M[:, None].expand_as(logits)
        top = torch.full((shown.num_users, logits.shape[1]), -torch.inf)
        top = top.scatter_reduce(0, place, logits.detach(), "amax")
        raised = torch.exp(logits - top[shown.place_M])
        sums = torch.zeros(shown.num_users, logits.shape[1]).index_add(0, shown.place_M, raised)
        return raised / sums[shown.place_M]


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
