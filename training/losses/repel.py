"""Push the vectors of one user apart, in two forms; each is zero where a user has a single vector.

Shape legend: B users, K interests, D width.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

RepelForm = Literal["cosine", "gaussian"]
REPEL_FORMS: tuple[RepelForm, ...] = ("cosine", "gaussian")


def repel(form: RepelForm, users_BKD: Tensor, delta: float, t: float) -> Tensor:
    """Return the repulsion of a batch in the form that is named; see `cosine_hinge` and `gaussian_potential`."""
    return cosine_hinge(users_BKD, delta) if form == "cosine" else gaussian_potential(users_BKD, t)


def cosine_hinge(users_BKD: Tensor, delta: float) -> Tensor:
    """Return the mean over users and pairs k < l of [cos(u_k, u_l) - delta]_+; nothing is pushed past `delta`.

    Args:
        users_BKD: float[B, K, D], of any length.
        delta: Cosine, in [-1, 1], below which two vectors of a user are far enough apart.
    """
    cosines = pairwise_cosines(users_BKD)
    return (cosines - delta).clamp(min=0).mean() if cosines.numel() else users_BKD.sum() * 0.0


def gaussian_potential(users_BKD: Tensor, t: float) -> Tensor:
    """Return log mean exp(-t ||u_k - u_l||^2) over users and pairs k < l, on unit vectors: at most 0.

    The uniformity loss of Wang and Isola (arXiv 2005.10242), within a user. Its pull is strongest on the closest pairs.

    Args:
        users_BKD: float[B, K, D], of any length.
        t: Sharpness, positive.
    """
    cosines = pairwise_cosines(users_BKD)
    if not cosines.numel():
        return users_BKD.sum() * 0.0
    exponents = -t * (2.0 - 2.0 * cosines).flatten()
    return torch.logsumexp(exponents, dim=0) - torch.log(torch.tensor(float(exponents.numel())))


def pairwise_cosines(users_BKD: Tensor) -> Tensor:
    """Return float[B, K (K - 1) / 2]: cosines of every pair k < l of a user's vectors."""
    directions = F.normalize(users_BKD, dim=2)
    first, second = torch.triu_indices(users_BKD.shape[1], users_BKD.shape[1], offset=1)
    return (directions[:, first] * directions[:, second]).sum(dim=2)
