"""Say what every negative sampler gives back: vectors to score, and the log probability of having drawn them.

A sampler returns *vectors*, since a mixed-up negative is no item; ids are there where a draw is one item.

Shape legend: B positives of a batch, N negatives of each, D width, I items, L layers of item vectors, K interests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Positives:
    """A batch of pairs that occurred.

    Attributes:
        user_idx_B: int64[B] in [0, U).
        item_idx_B: int64[B] in [0, I).
    """

    user_idx_B: Tensor
    item_idx_B: Tensor


@dataclass(frozen=True)
class CurrentVectors:
    """What the model makes of the batch's users and of all items at this step; the score is the inner product.

    Attributes:
        users_BD: float[B, D], or float[B, K, D] where a pair's score is the largest of a user's K.
        items_ID: float[I, D].
        item_layers_LID: float[L, I, D] whose mean is `items_ID`, for graph models; None is one layer.
    """

    users_BD: Tensor
    items_ID: Tensor
    item_layers_LID: Tensor | None = None

    @property
    def layers(self) -> Tensor:
        """float[L, I, D]; the items themselves as one layer without layers."""
        return self.items_ID[None] if self.item_layers_LID is None else self.item_layers_LID

    def scores(self, vectors_BND: Tensor) -> Tensor:
        """Return float[B, N]: the score of each user with N vectors of its own."""
        return scores(self.users_BD, vectors_BND)

    @torch.no_grad()
    def catalogue_scores(self) -> Tensor:
        """Return float[B, I] without gradient."""
        scores = self.users_BD @ self.items_ID.T
        return scores if scores.dim() == 2 else scores.amax(dim=1)

    def detached(self) -> CurrentVectors:
        """Return the same without gradient, for choosing."""
        layers = None if self.item_layers_LID is None else self.item_layers_LID.detach()
        return CurrentVectors(self.users_BD.detach(), self.items_ID.detach(), layers)


def scores(users_BD: Tensor, vectors_BND: Tensor) -> Tensor:
    """Return float[B, N] of users float[B, D], or float[B, K, D] by their largest, with vectors float[B, N, D]."""
    if users_BD.dim() == 2:
        return torch.einsum("bd,bnd->bn", users_BD, vectors_BND)
    return torch.einsum("bkd,bnd->bkn", users_BD, vectors_BND).amax(dim=1)


@dataclass(frozen=True)
class Negatives:
    """N negatives of each positive, as they were drawn.

    Attributes:
        current: The vectors that they were drawn from.
        positives: The batch.
        picked_BNL: int64[B, N, L], the item that supplies each layer of each negative; L = 1 for plain draws.
        state_log_p: Computes `log_p`.
        positive_share_BNL: float[B, N, L], how much of the positive is mixed into each; None mixes nothing.
    """

    current: CurrentVectors
    positives: Positives
    picked_BNL: Tensor
    state_log_p: Callable[[], Tensor]
    positive_share_BNL: Tensor | None = None

    @cached_property
    def vectors(self) -> Tensor:
        """float[B, N, D]; gradients reach the item vectors that they were drawn from."""
        return self.embed(self.current)

    @cached_property
    def log_p(self) -> Tensor:
        """float[B, N], log probability of each draw under the sampling in force, without gradient.

        It is computed when first read, since for samplers that read scores it takes a scoring of the catalogue; read it
        before the optimizer's step. See each sampler for what it is conditional on; mix-up states its *proposal*.
        """
        with torch.no_grad():
            return self.state_log_p()

    @property
    def item_idx(self) -> Tensor | None:
        """int64[B, N] where a negative is one item as it is; None where it is a mixture."""
        return self.picked_BNL[:, :, 0] if self.positive_share_BNL is None else None

    def embed(self, current: CurrentVectors) -> Tensor:
        """Return float[B, N, D]: the same draw seen by other vectors, such as those after a step."""
        if self.positive_share_BNL is None:
            return current.items_ID[self.picked_BNL[:, :, 0]]
        layers_LID = current.layers
        layer_L = torch.arange(layers_LID.shape[0])
        negative_BNLD = layers_LID[layer_L, self.picked_BNL]
        positive_BLD = layers_LID[:, self.positives.item_idx_B].transpose(0, 1)
        mixed = torch.lerp(negative_BNLD, positive_BLD[:, None], self.positive_share_BNL[..., None])
        return mixed.mean(dim=2)


class NegativeSampler(Protocol):
    """Draws negatives for a batch. Samplers may keep state between batches, one per training."""

    @property
    def name(self) -> str:
        """Short name with its parameters, as tables and recorded choices print it."""
        ...

    def draw(self, positives: Positives, current: CurrentVectors, num: int, generator: torch.Generator) -> Negatives:
        """Return `num` negatives of each positive.

        Args:
            positives: The batch.
            current: The model's vectors at this step; choices are made without gradient.
            num: N.
            generator: Source of every draw: the same seed and vectors give the same negatives.
        """
        ...
