"""Represent users by factors of who met what: what a team without shared features would read instead of z_u.

Shapes: U users, I items, D width.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from training.evaluation.ranking import Floats

NMF_ITERATIONS = 100
ALS_SWEEPS = 20


def user_factors(matrix_UI: sp.csr_matrix, width: int, seed: int) -> dict[str, Floats]:
    """Return float32[U, D] by method: non-negative factors, and implicit least squares in place of Gaussian PMF.

    Args:
        matrix_UI: Ones where a user met an item.
        width: D; non-negative factors are no more than the shorter side of the matrix.
        seed: Seed of the starting factors.
    """
    return {"nmf": _nmf(matrix_UI, width, seed), "als": _als(matrix_UI, width, seed)}


def _nmf(matrix_UI: sp.csr_matrix, width: int, seed: int) -> Floats:
    """Lee and Seung, Nature 1999, by coordinate descent."""
    from sklearn.decomposition import NMF

    rank = min(width, *matrix_UI.shape)
    model = NMF(rank, init="nndsvda", max_iter=NMF_ITERATIONS, tol=1e-3, random_state=seed)
    return np.asarray(model.fit_transform(matrix_UI.astype(np.float32)), np.float32)


def _als(matrix_UI: sp.csr_matrix, width: int, seed: int) -> Floats:
    """Hu, Koren and Volinsky, ICDM 2008."""
    from implicit.als import AlternatingLeastSquares

    with threadpool_limits(1, "blas"):  # its own threads and BLAS's would fight over the cores
        model = AlternatingLeastSquares(factors=width, iterations=ALS_SWEEPS, random_state=seed)
        model.fit(matrix_UI.astype(np.float32), show_progress=False)
    return np.asarray(model.user_factors, np.float32)
