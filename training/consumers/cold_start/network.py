"""Rank items for users with and without behaviour: embeddings, zero-shot tower and ranking tower (MAIL, CIKM 2021).

The ranking tower is a Protocol with two implementations. The paper's tower also reads the context of an impression;
a full ranking has none, so it is left out.

Shape legend: B users, A attribute tokens, P picks, L behaviours, T targets, D width, I items, V attribute values, F.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.consumers.cold_start.zero_shot import Views, ZeroShotConfig, ZeroShotTower

PADDING = -1
Ranker = Literal["mlp", "inner_product"]


@dataclass(frozen=True, kw_only=True)
class ColdStartModelConfig:
    """Choices of the network.

    Attributes:
        width: D, of every token.
        zero_shot: The zero-shot tower; None leaves users without behaviour unfilled.
        ranker: Which ranking tower: the paper's, or one whose score is an inner product.
        hidden: The MLP ranker's two layers.
        user_hidden: The inner-product ranker's hidden layer.
        dropout: In the ranking tower.
        token_dropout: Share of attribute tokens that the ranking tower is trained without.
    """

    width: int = 32
    zero_shot: ZeroShotConfig | None = field(default_factory=ZeroShotConfig)
    ranker: Ranker = "inner_product"
    hidden: tuple[int, int] = (512, 256)
    user_hidden: int = 128
    dropout: float = 0.5
    token_dropout: float = 0.3


@dataclass(frozen=True)
class UserTokens:
    """What is known of a batch of users, as indices; `PADDING` where there is nothing.

    Attributes:
        attribute_idx_BA: int64[B, A], rows of the attribute table.
        pick_idx_BP: int64[B, P], items picked at sign-up: attributes that live in the item table.
        behaviour_idx_BL: int64[B, L], items of the history, newest last; all padding for a new user.
    """

    attribute_idx_BA: Tensor
    pick_idx_BP: Tensor
    behaviour_idx_BL: Tensor

    @property
    def is_new(self) -> Tensor:
        """bool[B]: users without any behaviour."""
        return (self.behaviour_idx_BL == PADDING).all(dim=1)


class MlpRanker(nn.Module):
    """The paper's base: concatenate what is pooled and the target; [Dropout, Dense, BN, LReLU] twice; a logit."""

    def __init__(self, config: ColdStartModelConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 3 * config.width
        for hidden in config.hidden:
            layers += [nn.Dropout(config.dropout), nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(0.2)]
            width = hidden
        self.layers = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, attributes_BD: Tensor, behaviours_BD: Tensor, targets_BTD: Tensor, bias_BT: Tensor) -> Tensor:
        """Return logits float[B, T]."""
        num_users, num_targets, width = targets_BTD.shape
        user_BTW = torch.cat([attributes_BD, behaviours_BD], dim=1)[:, None].expand(-1, num_targets, -1)
        rows = torch.cat([user_BTW, targets_BTD], dim=2).reshape(num_users * num_targets, 3 * width)
        logits: Tensor = self.layers(rows).view(num_users, num_targets)
        return logits + bias_BT


class InnerProductRanker(nn.Module):
    """Score by <u, item> + item bias, so that serving can rank the whole catalogue by plain products."""

    def __init__(self, config: ColdStartModelConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * config.width, config.width)
        self.hidden = nn.Sequential(
            nn.Linear(2 * config.width, config.user_hidden),
            nn.LeakyReLU(0.2),
            nn.Dropout(config.dropout),
            nn.Linear(config.user_hidden, config.width),
        )

    def user_vectors(self, attributes_BD: Tensor, behaviours_BD: Tensor) -> Tensor:
        """Return float[B, D]."""
        both = torch.cat([attributes_BD, behaviours_BD], dim=1)
        vectors: Tensor = self.linear(both) + self.hidden(both)
        return vectors

    def forward(self, attributes_BD: Tensor, behaviours_BD: Tensor, targets_BTD: Tensor, bias_BT: Tensor) -> Tensor:
        """Return logits float[B, T]."""
        user_BD = self.user_vectors(attributes_BD, behaviours_BD)
        return torch.einsum("bd,btd->bt", user_BD, targets_BTD) + bias_BT


class ColdStartNetwork(nn.Module):
    """Tables, zero-shot tower and ranking tower; `fill` is what a new user gets in place of a history."""

    def __init__(
        self, config: ColdStartModelConfig, num_values: int, num_items: int, num_tokens: int, num_columns: int
    ) -> None:
        """Build for V attribute values, I items, A + P attribute tokens and F encoder columns."""
        super().__init__()
        self.config = config
        self.values = nn.Embedding(max(num_values, 1), config.width)  # no value at all: padding reads row 0
        self.items = nn.Embedding(num_items, config.width)
        self.targets = nn.Embedding(num_items, config.width)
        self.item_bias = nn.Parameter(torch.zeros(num_items))
        self.virtual_mark = nn.Parameter(torch.zeros(config.width))
        for table in (self.values, self.items, self.targets):
            nn.init.normal_(table.weight, std=0.1)
        kind = config.zero_shot
        self.zero_shot = ZeroShotTower(num_tokens, config.width, num_columns, kind) if kind else None
        self.ranker: MlpRanker | InnerProductRanker
        self.ranker = MlpRanker(config) if config.ranker == "mlp" else InnerProductRanker(config)

    def start_from(self, items_ID: Tensor, bias_I: Tensor) -> None:
        """Set both item tables and the item terms: random ones learn far more slowly."""
        with torch.no_grad():
            self.items.weight.copy_(items_ID)
            self.targets.weight.copy_(items_ID)
            self.item_bias.copy_(bias_I)

    def embedding_parameters(self) -> list[Tensor]:
        """Return what optimizer B moves beside the ranking tower, and optimizer A never."""
        return [self.values.weight, self.items.weight, self.targets.weight, self.virtual_mark, self.item_bias]

    def attributes(self, users: UserTokens) -> tuple[Tensor, Tensor]:
        """Return tokens float[B, A + P, D] and which are there, bool[B, A + P]."""
        values = _embed(self.values, users.attribute_idx_BA)
        picks = _embed(self.items, users.pick_idx_BP)
        mask = torch.cat([users.attribute_idx_BA, users.pick_idx_BP], dim=1) != PADDING
        return torch.cat([values, picks], dim=1), mask

    def views(self, users: UserTokens, x_BF: Tensor, x_mask_BF: Tensor) -> Views:
        """Return both views for the zero-shot tower's loss, detached from the tables."""
        length = self.zero_shot.config.num_behaviours if self.zero_shot else users.behaviour_idx_BL.shape[1]
        kept = users.behaviour_idx_BL[:, -length:]
        kept = functional.pad(kept, (length - kept.shape[1], 0), value=PADDING)
        attributes, mask = self.attributes(users)
        return Views.of(attributes, mask, _embed(self.items, kept), kept != PADDING, x_BF, x_mask_BF)

    def fill(self, users: UserTokens) -> tuple[Tensor, Tensor]:
        """Return virtual behaviours float[B, L, D] and input columns float[B, F], without gradient.

        The tower imagines as it will when served, without dropout: else the ranking tower learns to distrust it.
        """
        tower = self.zero_shot
        assert tower is not None
        is_learning = tower.training
        tower.eval()
        with torch.no_grad():
            virtual: tuple[Tensor, Tensor] = tower(*self.attributes(users))
        tower.train(is_learning)
        return virtual

    def pooled(self, users: UserTokens, *, fill: bool) -> tuple[Tensor, Tensor]:
        """Return pooled attributes and behaviours, float[B, D] each: the sum and the mean of the tokens that are there.

        A mean and not the paper's sum of behaviours: histories differ in length by orders of magnitude. What is virtual
        is marked by a learned vector, which is ours: the ranking tower need not trust it as it trusts a history.

        Args:
            users: The batch.
            fill: Whether users without behaviour get the virtual one; else their behaviour is zeros.
        """
        attributes, _ = self.attributes(users)
        mask_BL = users.behaviour_idx_BL != PADDING
        behaviours_BD = _mean(_embed(self.items, users.behaviour_idx_BL), mask_BL)
        if fill and self.zero_shot is not None and bool(users.is_new.any()):
            virtual_BD = self.fill(users)[0].mean(dim=1) + self.virtual_mark
            behaviours_BD = torch.where(users.is_new[:, None], virtual_BD, behaviours_BD)
        return self.drop_tokens(attributes).sum(dim=1), behaviours_BD

    def drop_tokens(self, tokens_BND: Tensor) -> Tensor:
        """Return tokens of which training leaves out some whole, so that no attribute is leant on alone."""
        kept_BN = functional.dropout(torch.ones(tokens_BND.shape[:2]), self.config.token_dropout, self.training)
        return tokens_BND * kept_BN[..., None]

    def logits(self, users: UserTokens, target_idx_BT: Tensor, *, fill: bool) -> Tensor:
        """Return the ranking tower's logits float[B, T] of some items for each user."""
        pooled = self.pooled(users, fill=fill)
        logits: Tensor = self.ranker(*pooled, self.targets(target_idx_BT), self.item_bias[target_idx_BT])
        return logits

    def all_logits(self, users: UserTokens, *, fill: bool) -> Tensor:
        """Return the inner-product tower's logits float[B, I] of every item."""
        assert isinstance(self.ranker, InnerProductRanker)
        user_BD = self.ranker.user_vectors(*self.pooled(users, fill=fill))
        return torch.addmm(self.item_bias, user_BD, self.targets.weight.T)


def _embed(table: nn.Embedding, idx_BN: Tensor) -> Tensor:
    tokens: Tensor = table(idx_BN.clamp(min=0))
    return tokens * (idx_BN != PADDING)[..., None]


def _mean(tokens_BND: Tensor, mask_BN: Tensor) -> Tensor:
    return tokens_BND.sum(dim=1) / mask_BN.sum(dim=1, keepdim=True).clamp(min=1)
