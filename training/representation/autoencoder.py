"""Compress one input row per user into z_u with an MLP autoencoder (Fazelnia et al. 2025).

The paper gives the shape of the method; layer sizes, activation and dropout here are our reconstruction. So is the
linear path beside the layers: it is set to principal components and stays there, so that the layers learn what no
linear map can tell, and few users or few steps are enough for vectors about as good as those components.

Shape legend: B users, F input columns, Z latent columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

SELU_FLOOR = -1.7580993408473766
"""What SELU tends to: -λ α of Klambauer et al. 2017."""


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

    def start_from(self, axes_FZ: torch.Tensor, centre_F: torch.Tensor) -> None:
        """Begin as the coordinates along orthonormal axes, and back.

        Args:
            axes_FZ: float32 [F, Z]; columns of zeros where there are fewer than Z.
            centre_F: float32 [F], the row that gets z = 0.
        """
        self.encoder.start_from(axes_FZ.T, -centre_F @ axes_FZ)
        self.decoder.start_from(axes_FZ, centre_F)

    def encode(self, x_BF: torch.Tensor) -> torch.Tensor:
        """Return z, float32 [B, Z]; call in eval mode for vectors without dropout."""
        z_BZ: torch.Tensor = self.encoder(x_BF)
        return z_BZ

    def forward(self, x_BF: torch.Tensor) -> torch.Tensor:
        """Return the reconstruction, float32 [B, F]; logits in one-hot blocks."""
        x_hat_BF: torch.Tensor = self.decoder(self.encoder(x_BF))
        return x_hat_BF


class AlphaDropout(nn.Module):
    """`torch.nn.AlphaDropout` at a fraction of its draws, which cost as much as a layer: 16 bits for each element."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x with elements at SELU's floor, moved so that mean and variance stay; x itself in eval mode."""
        if not self.training or self.rate == 0:
            return x
        scale = ((1 - self.rate) * (1 + self.rate * SELU_FLOOR**2)) ** -0.5
        offset = -scale * self.rate * SELU_FLOOR
        bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        keep = bits[: x.numel()].view(x.shape) >= round(self.rate * 2**16) - 2**15
        return torch.where(keep, x * scale + offset, SELU_FLOOR * scale + offset)


class LinearAndLayers(nn.Module):
    """A linear map that is not trained plus an MLP that is; without `start_from` there is the MLP alone."""

    def __init__(self, widths: list[int], dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(widths[0], widths[-1]).requires_grad_(False)
        self.layers = _mlp(widths, dropout)
        for parameter in self.linear.parameters():
            nn.init.zeros_(parameter)

    @torch.no_grad()
    def start_from(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Set the linear map, and silence the MLP until it has learned something."""
        self.linear.weight.copy_(weight)
        self.linear.bias.copy_(bias)
        for parameter in self.layers[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return float32 [B, widths[-1]] of float32 [B, widths[0]]."""
        y: torch.Tensor = self.linear(x) + self.layers(x)
        return y


def _mlp(widths: list[int], dropout: float) -> nn.Sequential:
    """Return linear layers with SELU and AlphaDropout between them, LeCun-normal as SELU requires."""
    layers: list[nn.Module] = []
    for index, (fan_in, fan_out) in enumerate(pairwise(widths)):
        linear = nn.Linear(fan_in, fan_out)
        nn.init.normal_(linear.weight, std=fan_in**-0.5)
        nn.init.zeros_(linear.bias)
        layers.append(linear)
        if index < len(widths) - 2:
            layers += [nn.SELU(), AlphaDropout(dropout)]
    return nn.Sequential(*layers)
