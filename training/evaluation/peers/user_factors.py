"""Represent users by factors of their interactions: what a team without shared features would read instead of z_u.

Shapes: U users, I items, D width.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from training.arrays import Floats
from training.evaluation.peers.factors import als_factors

NMF_ITERATIONS = 100


def user_factors(matrix_UI: sp.csr_matrix, width: int, seed: int) -> dict[str, Floats]:
    """Return float32[U, D] by method: non-negative factors, and implicit least squares in place of Gaussian PMF.

    Args:
        matrix_UI: float32 ones where a user interacted with an item.
        width: D; non-negative factors are no more than the shorter side of the matrix.
        seed: Seed of the starting factors.
    """
    users_UD, _ = als_factors(matrix_UI, factors=width, seed=seed)
    return {"nmf": _nmf(matrix_UI, width, seed), "als": users_UD}


def _nmf(matrix_UI: sp.csr_matrix, width: int, seed: int) -> Floats:
    """Lee and Seung, Nature 1999, by coordinate descent."""
    from sklearn.decomposition import NMF

    rank = min(width, *matrix_UI.shape)
    model = NMF(rank, init="nndsvda", max_iter=NMF_ITERATIONS, tol=1e-3, random_state=seed)
    return np.asarray(model.fit_transform(matrix_UI), np.float32)
