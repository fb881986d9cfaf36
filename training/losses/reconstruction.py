"""Compare a reconstruction with the clean input so that every block counts, whatever its width.

Shape legend: B users, F input columns, K blocks.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional

from training.data.input_layout import Block, InputLayout


def block_losses(
    x_hat_BF: torch.Tensor, x_BF: torch.Tensor, observed_BK: torch.Tensor, layout: InputLayout
) -> torch.Tensor:
    """Return the mean loss of each block over the users who have it, float32 [K]; 0 for a block that nobody has.

    Squared error per column; cross-entropy in one-hot blocks. `observed_BK` masks absent windows.
    """
    columns = [_block_loss(x_hat_BF, x_BF, block) for block in layout.blocks]
    per_user_BK = torch.stack(columns, dim=1)
    observed = observed_BK.to(per_user_BK.dtype)
    return (per_user_BK * observed).sum(dim=0) / observed.sum(dim=0).clamp(min=1.0)


def reconstruction_loss(
    x_hat_BF: torch.Tensor,
    x_BF: torch.Tensor,
    observed_BK: torch.Tensor,
    layout: InputLayout,
    weights: Mapping[str, float],
) -> torch.Tensor:
    """Return the weighted mean over blocks; blocks that `weights` does not name weigh 1."""
    losses_K = block_losses(x_hat_BF, x_BF, observed_BK, layout)
    weights_K = losses_K.new_tensor([weights.get(block.name, 1.0) for block in layout.blocks])
    return (losses_K * weights_K).sum() / weights_K.sum()


def _block_loss(x_hat_BF: torch.Tensor, x_BF: torch.Tensor, block: Block) -> torch.Tensor:
    x_hat, x = x_hat_BF[:, block.columns], x_BF[:, block.columns]
    if block.kind == "one_hot":
        return functional.cross_entropy(x_hat, x.argmax(dim=1), reduction="none")
    return (x_hat - x).square().mean(dim=1)


def masked_mse(rebuilt: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error over what `mask`, broadcast to the target, leaves; nothing left gives zero."""
    kept = mask.expand_as(target).to(target.dtype)
    return ((rebuilt - target).square() * kept).sum() / kept.sum().clamp(min=1.0)
