"""Encode a user's items, oldest first, into one vector: pooled means, GRU, convolution or self-attention.

Shape legend: B users, L padded history length, D width. Padding sits at the *end*; `mask_BL` is true on real items.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

EncoderName = Literal["mean", "recency_mean", "gru", "cnn", "self_attention"]
AggregatorName = Literal["mean", "last", "max", "attention"]
ENCODERS: tuple[EncoderName, ...] = ("mean", "recency_mean", "gru", "cnn", "self_attention")
AGGREGATORS: tuple[AggregatorName, ...] = ("mean", "last", "max", "attention")


@dataclass(frozen=True, kw_only=True)
class HistoryConfig:
    """Which encoder reads the history.

    Attributes:
        encoder: "mean" and "recency_mean" pool without parameters; the others transform each position first.
        aggregator: How transformed positions become one vector; the two means bring their own.
        decay: Weight of an item relative to the next newer one, under "recency_mean" and where the others start.
        max_length: Newest items that are read.
        num_layers: Layers of GRU, convolution or attention.
        num_heads: Heads of self-attention.
        kernel_size: Width of the convolution.
        dropout: Share of activations dropped in training.
    """

    encoder: EncoderName = "recency_mean"
    aggregator: AggregatorName = "last"
    decay: float = 0.85
    max_length: int = 200
    num_layers: int = 2
    num_heads: int = 2
    kernel_size: int = 3
    dropout: float = 0.1


class SequenceEncoder(nn.Module):
    """Turn every position into a vector that has seen only its past: [B, L, D] in, [B, L, D] out.

    What comes back is the decayed mean of the items up to the position plus what the layers add to it, which starts at
    zero: items that are good vectors to begin with give good users before the first step.
    """

    def __init__(self, config: HistoryConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.drop = nn.Dropout(config.dropout)
        self.layers = _LAYERS[config.encoder](config, width)
        self.place = nn.Parameter(torch.zeros(config.max_length, width)) if config.encoder == "self_attention" else None
        self.norm = nn.LayerNorm(width)
        self.change = nn.Linear(width, width)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)

    def forward(self, items_BLD: Tensor) -> Tensor:
        """Return float[B, L, D]; position l depends on positions up to l alone, so end padding changes nothing."""
        items_BLD = self.drop(items_BLD)
        states = items_BLD * items_BLD.shape[-1] ** 0.5
        if self.place is not None:
            states = states + self.place[: items_BLD.shape[1]]
        for layer in self.layers:
            states = states + self.drop(layer(states))
        encoded: Tensor = decayed_means(items_BLD, self.config.decay) + self.change(self.norm(states))
        return encoded


def decayed_means(items_BLD: Tensor, decay: float) -> Tensor:
    """Return float[B, L, D]: at each position the mean of the items so far, weighed by decay ** (age in positions)."""
    place = torch.arange(items_BLD.shape[1])
    age_LL = place[:, None] - place[None, :]
    weights_LL = torch.where(age_LL >= 0, decay ** age_LL.clamp(min=0).float(), 0.0)
    return (weights_LL / weights_LL.sum(dim=1, keepdim=True)) @ items_BLD


class CausalConvolution(nn.Module):
    """One convolution over past positions with a gate."""

    def __init__(self, config: HistoryConfig, width: int) -> None:
        super().__init__()
        self.reach = config.kernel_size - 1
        self.convolution = nn.Conv1d(width, 2 * width, config.kernel_size)

    def forward(self, states_BLD: Tensor) -> Tensor:
        """Return float[B, L, D]."""
        padded = nn.functional.pad(states_BLD.transpose(1, 2), (self.reach, 0))
        return nn.functional.glu(self.convolution(padded), dim=1).transpose(1, 2)


class Recurrence(nn.Module):
    """One gated recurrent layer."""

    def __init__(self, config: HistoryConfig, width: int) -> None:
        super().__init__()
        self.cell = nn.GRU(width, width, batch_first=True)

    def forward(self, states_BLD: Tensor) -> Tensor:
        """Return float[B, L, D]."""
        outputs: Tensor = self.cell(states_BLD)[0]
        return outputs


class CausalAttention(nn.Module):
    """One block of pre-normed causal self-attention and a pointwise network."""

    def __init__(self, config: HistoryConfig, width: int) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.norm_in, self.norm_mid = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project_in, self.project_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.pointwise = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.drop = nn.Dropout(config.dropout)

    def forward(self, states_BLD: Tensor) -> Tensor:
        """Return the change to the states, float[B, L, D]."""
        shape = (*states_BLD.shape[:2], self.num_heads, -1)
        parts = self.project_in(self.norm_in(states_BLD)).chunk(3, dim=-1)
        query, key, value = (part.reshape(shape).transpose(1, 2) for part in parts)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        attended = self.drop(self.project_out(mixed.transpose(1, 2).flatten(2)))
        change: Tensor = attended + self.pointwise(self.norm_mid(states_BLD + attended))
        return change


def _stack(layer: Callable[[HistoryConfig, int], nn.Module]) -> Callable[[HistoryConfig, int], nn.ModuleList]:
    return lambda config, width: nn.ModuleList(layer(config, width) for _ in range(config.num_layers))


_LAYERS: dict[str, Callable[[HistoryConfig, int], nn.ModuleList]] = {
    "mean": lambda config, width: nn.ModuleList(),
    "recency_mean": lambda config, width: nn.ModuleList(),
    "gru": _stack(Recurrence),
    "cnn": _stack(CausalConvolution),
    "self_attention": _stack(CausalAttention),
}


class Aggregator(nn.Module):
    """Turn a masked row of position vectors into one: mean, last, maximum, or a learned attention."""

    def __init__(self, name: AggregatorName, width: int) -> None:
        super().__init__()
        self.name = name
        self.query = nn.Parameter(torch.zeros(width)) if name == "attention" else None

    def forward(self, states_BLD: Tensor, mask_BL: Tensor) -> Tensor:
        """Return float[B, D]; a user without items gets zeros."""
        empty = ~mask_BL.any(dim=1, keepdim=True)
        if self.name == "max":
            return states_BLD.masked_fill(~mask_BL[..., None], -torch.inf).amax(dim=1).masked_fill(empty, 0.0)
        return torch.einsum("bl,bld->bd", self._weights(states_BLD, mask_BL), states_BLD)

    def _weights(self, states_BLD: Tensor, mask_BL: Tensor) -> Tensor:
        if self.name == "mean":
            return mask_BL / mask_BL.sum(dim=1, keepdim=True).clamp(min=1)
        if self.name == "last":
            last_B = mask_BL.sum(dim=1, keepdim=True) - 1
            return (torch.arange(mask_BL.shape[1]) == last_B).to(states_BLD.dtype)
        assert self.query is not None
        scores = (states_BLD @ self.query / states_BLD.shape[-1] ** 0.5).masked_fill(~mask_BL, -torch.inf)
        return torch.nan_to_num(torch.softmax(scores, dim=1))


class HistoryEncoder(nn.Module):
    """Encode padded histories into one vector a user, by the configured encoder and aggregator."""

    def __init__(self, config: HistoryConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.is_pooled = config.encoder in ("mean", "recency_mean")
        self.sequence = SequenceEncoder(config, width)
        self.aggregate = Aggregator(config.aggregator, width)

    def forward(self, items_BLD: Tensor, mask_BL: Tensor) -> Tensor:
        """Return float[B, D], not normalised; a user without items gets zeros.

        Args:
            items_BLD: float[B, L, D], oldest first; what stands on padded places does not matter.
            mask_BL: bool[B, L], true on real items, which come first.
        """
        if self.is_pooled:
            return torch.einsum("bl,bld->bd", self.pooling_weights(mask_BL), items_BLD)
        states = self.sequence(items_BLD.masked_fill(~mask_BL[..., None], 0.0))
        pooled: Tensor = self.aggregate(states, mask_BL)
        return pooled

    def pooling_weights(self, mask_BL: Tensor) -> Tensor:
        """Return float[B, L], summing to 1 where there is any item: decay ** (number of newer items), or equal."""
        decay = self.config.decay if self.config.encoder == "recency_mean" else 1.0
        newer_BL = (mask_BL.sum(dim=1, keepdim=True) - 1 - torch.arange(mask_BL.shape[1])).clamp(min=0)
        weights = decay ** newer_BL.float() * mask_BL
        return weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-12)
