"""Corrupt inputs the way that real users are incomplete: whole blocks missing, besides element noise.

Dropping blocks is what makes one encoder valid for users without behaviour and for users without onboarding.

Shape legend: B users, F input columns, G groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from training.data.input_layout import InputLayout

_NOISE_POOL = 2**20


@dataclass(frozen=True, kw_only=True)
class CorruptionConfig:
    """How inputs are damaged in training; never at inference.

    Attributes:
        block_low: Least probability, drawn anew per batch, that a group of blocks is dropped for a user.
        block_high: Greatest such probability.
        noise: Standard deviation of the noise added to each element.
    """

    block_low: float = 0.1
    block_high: float = 0.3
    noise: float = 0.1


class Corruption:
    """Draws damaged copies; the same generator state gives the same damage."""

    def __init__(self, layout: InputLayout, config: CorruptionConfig, generator: torch.Generator) -> None:
        self._config = config
        self._generator = generator
        self._groups_GF = torch.from_numpy(layout.group_columns()).float()
        self._absent_F = torch.tensor(layout.absent, dtype=torch.float32)
        # Fresh normal draws cost as much as the matrix products; slices of one pool at random offsets do as well.
        self._pool = torch.randn(max(_NOISE_POOL, 2 * layout.num_columns), generator=generator) * config.noise

    def __call__(self, x_BF: torch.Tensor) -> torch.Tensor:
        """Return a corrupted copy of float32 [B, F]."""
        low, high = self._config.block_low, self._config.block_high
        rate = low + (high - low) * torch.rand((), generator=self._generator)
        drop_BG = torch.rand(len(x_BF), len(self._groups_GF), generator=self._generator) < rate
        keep_BF = (drop_BG.float() @ self._groups_GF) == 0
        return torch.where(keep_BF, x_BF + self._noise(x_BF), self._absent_F)

    def _noise(self, x_BF: torch.Tensor) -> torch.Tensor:
        size = x_BF.numel()
        spare = len(self._pool) - size
        if spare < 0:
            return torch.randn(x_BF.shape, generator=self._generator) * self._config.noise
        offset = int(torch.randint(0, spare + 1, (), generator=self._generator))
        return self._pool[offset : offset + size].view_as(x_BF)
