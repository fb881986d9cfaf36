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
    # One product for all blocks: the gradient of a slice per block would be a whole zero-filled batch each.
    per_user_BK = (x_hat_BF - x_BF).square() @ torch.from_numpy(layout.column_shares)
    for place, block in enumerate(layout.blocks):
        if block.kind == "one_hot":
            per_user_BK[:, place] = _one_hot_loss(x_hat_BF, x_BF, block)
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


def _one_hot_loss(x_hat_BF: torch.Tensor, x_BF: torch.Tensor, block: Block) -> torch.Tensor:
    wanted_B = x_BF[:, block.columns].argmax(dim=1)
    return functional.cross_entropy(x_hat_BF[:, block.columns], wanted_B, reduction="none")


def masked_mse(rebuilt: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error over what `mask`, broadcast to the target, leaves; nothing left gives zero."""
    kept = mask.expand_as(target).to(target.dtype)
    return ((rebuilt - target).square() * kept).sum() / kept.sum().clamp(min=1.0)
