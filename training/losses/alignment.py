"""Bring the codes of two views of the same users together (MAIL, CIKM 2021).

All are means, so that none is swamped by, or swamps, the reconstruction terms. Shape legend: B users, C code width.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Alignment = Literal["mmd_sigma1", "mmd_median", "paired_mse"]


def align(attribute_code_BC: Tensor, behaviour_code_BC: Tensor, how: Alignment) -> Tensor:
    """Return how far apart two sets of codes are, a scalar; fewer than two users give zero for the MMDs.

    Args:
        attribute_code_BC: float[B, C], row b from user b's attributes.
        behaviour_code_BC: float[B, C], row b from user b's behaviour.
        how: "mmd_sigma1" is the paper's squared maximum mean discrepancy, whose kernel saturates on wide codes;
            "mmd_median" takes the median squared distance as its width; "paired_mse" is what the authors' released
            code does: it compares row with row.
    """
    if how == "paired_mse":
        return (attribute_code_BC - behaviour_code_BC).square().mean()
    if len(attribute_code_BC) < 2:
        return (attribute_code_BC * 0).sum()
    width = median_squared_distance(attribute_code_BC, behaviour_code_BC) if how == "mmd_median" else 2.0
    return squared_mmd(attribute_code_BC, behaviour_code_BC, width)


def squared_mmd(left_BC: Tensor, right_BC: Tensor, width: Tensor | float) -> Tensor:
    """Return the biased estimate of MMD², never negative, with the kernel exp(-|x - y|² / width).

    A standard deviation σ is a width of 2 σ².
    """
    within = _kernel(left_BC, left_BC, width).mean() + _kernel(right_BC, right_BC, width).mean()
    return within - 2 * _kernel(left_BC, right_BC, width).mean()


def median_squared_distance(left_BC: Tensor, right_BC: Tensor) -> Tensor:
    """Return the median of the squared distances between different rows of both sets, without gradient; at least 1e-6.

    It follows the scale of the codes, so that the kernel neither saturates nor goes flat.
    """
    with torch.no_grad():
        both = torch.cat([left_BC, right_BC])
        apart = torch.triu_indices(len(both), len(both), offset=1, device=both.device)
        return _squared_distances(both, both)[apart[0], apart[1]].median().clamp(min=1e-6)


def _kernel(left: Tensor, right: Tensor, width: Tensor | float) -> Tensor:
    return torch.exp(-_squared_distances(left, right) / width)


def _squared_distances(left: Tensor, right: Tensor) -> Tensor:
    """Return float[B, B']; by products, whose gradient at equal rows is finite, unlike that of a distance."""
    norms = left.square().sum(dim=1)[:, None] + right.square().sum(dim=1)[None, :]
    return (norms - 2 * left @ right.T).clamp(min=0.0)
