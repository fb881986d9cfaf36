"""Compress one input row per user into z_u with an MLP autoencoder (Fazelnia et al. 2025).

The paper gives the shape of the method; layer sizes, activation and dropout here are our reconstruction. So is the
linear path beside the layers: started from principal components, it leaves to the layers what no linear map can tell,
and few users or few steps are enough for vectors no worse than those components.

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
        self.encoder = LinearAndLayers(widths, config.dropout)
        self.decoder = LinearAndLayers(widths[::-1], config.dropout)

    @torch.no_grad()
    def start_from(self, axes_FZ: torch.Tensor, centre_F: torch.Tensor) -> None:
        """Set the linear paths to the coordinates along orthonormal axes, and back.

        Args:
            axes_FZ: float32 [F, Z]; columns of zeros where there are fewer than Z.
            centre_F: float32 [F], the row that gets z = 0.
        """
        there, back = self.encoder.linear, self.decoder.linear
        there.weight.copy_(axes_FZ.T)
        there.bias.copy_(-centre_F @ axes_FZ)
        back.weight.copy_(axes_FZ)
        back.bias.copy_(centre_F)

    def encode(self, x_BF: torch.Tensor) -> torch.Tensor:
        """Return z, float32 [B, Z]; call in eval mode for vectors without dropout."""
        z_BZ: torch.Tensor = self.encoder(x_BF)
        return z_BZ

    def forward(self, x_BF: torch.Tensor) -> torch.Tensor:
        """Return the reconstruction, float32 [B, F]; logits in one-hot blocks."""
        x_hat_BF: torch.Tensor = self.decoder(self.encoder(x_BF))
        return x_hat_BF


class LinearAndLayers(nn.Module):
    """A linear map plus an MLP; the MLP's last layer starts at zero, so that at first there is the map alone."""

    def __init__(self, widths: list[int], dropout: float) -> None:
        super().__init__()
        self.linear = _linear(widths[0], widths[-1])
        self.layers = _mlp(widths, dropout)
        for parameter in self.layers[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return float32 [B, widths[-1]] of float32 [B, widths[0]]."""
        y: torch.Tensor = self.linear(x) + self.layers(x)
        return y


def _mlp(widths: list[int], dropout: float) -> nn.Sequential:
    """Return linear layers with SELU and AlphaDropout between them."""
    layers: list[nn.Module] = []
    for index, (fan_in, fan_out) in enumerate(pairwise(widths)):
        layers.append(_linear(fan_in, fan_out))
        if index < len(widths) - 2:
            layers += [nn.SELU(), nn.AlphaDropout(dropout)]
    return nn.Sequential(*layers)


def _linear(fan_in: int, fan_out: int) -> nn.Linear:
    """Return a layer with LeCun-normal weights, as SELU requires."""
    linear = nn.Linear(fan_in, fan_out)
    nn.init.normal_(linear.weight, std=fan_in**-0.5)
    nn.init.zeros_(linear.bias)
    return linear
