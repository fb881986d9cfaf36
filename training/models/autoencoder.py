"""Compress one input row per user into z_u with a plain MLP autoencoder (Fazelnia et al. 2025).

The paper gives the shape of the method; layer sizes, activation and dropout here are our reconstruction.

Shape legend: B users, F input columns, Z latent columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """Layer sizes.

    Attributes:
        latent: Z, the width of a user vector.
        hidden_shares: Encoder layer widths as shares of F; the decoder mirrors them.
        dropout: AlphaDropout rate after each hidden layer, in training only.
    """

    latent: int = 120
    hidden_shares: tuple[float, ...] = (1.0, 0.5)
    dropout: float = 0.1


class Autoencoder(nn.Module):
    """`encode` maps float32 [B, F] to [B, Z]; `forward` goes there and back."""

    def __init__(self, num_columns: int, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        hidden = [max(int(num_columns * share), config.latent) for share in config.hidden_shares]
        widths = [num_columns, *hidden, config.latent]
        self.encoder = _mlp(widths, config.dropout)
        self.decoder = _mlp(widths[::-1], config.dropout)

    def encode(self, x_BF: torch.Tensor) -> torch.Tensor:
        """Return z, float32 [B, Z]; call in eval mode for vectors without dropout."""
        z_BZ: torch.Tensor = self.encoder(x_BF)
        return z_BZ

    def forward(self, x_BF: torch.Tensor) -> torch.Tensor:
        """Return the reconstruction, float32 [B, F]; logits in one-hot blocks."""
        x_hat_BF: torch.Tensor = self.decoder(self.encoder(x_BF))
        return x_hat_BF


def _mlp(widths: list[int], dropout: float) -> nn.Sequential:
    """Return linear layers with SELU and AlphaDropout between them, LeCun-normal as SELU requires."""
    layers: list[nn.Module] = []
    for index, (fan_in, fan_out) in enumerate(pairwise(widths)):
        linear = nn.Linear(fan_in, fan_out)
        nn.init.normal_(linear.weight, std=fan_in**-0.5)
        nn.init.zeros_(linear.bias)
        layers.append(linear)
        if index < len(widths) - 2:
            layers += [nn.SELU(), nn.AlphaDropout(dropout)]
    return nn.Sequential(*layers)
