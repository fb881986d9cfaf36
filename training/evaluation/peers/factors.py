"""Factor models: ALS and BPR of the `implicit` library, and the untrained truncated SVD.

Shapes: U users, I items, D width.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from training.arrays import Floats
from training.evaluation.metrics import Scorer, VectorScorer
from training.evaluation.peers.log import TrainingLog

THREADS = 2
DEGREE_SMOOTHING = 5.0
TEMPERATURE = 0.1


def als(log: TrainingLog, *, factors: int, alpha: float, regularisation: float, seed: int = 0) -> Scorer:
    """Return implicit-feedback alternating least squares (Hu, Koren and Volinsky, ICDM 2008), 20 sweeps."""
    return VectorScorer(
        *als_factors(log.matrix, factors=factors, alpha=alpha, regularisation=regularisation, seed=seed)
    )


def als_factors(
    matrix_UI: sp.csr_matrix, *, factors: int, alpha: float = 1.0, regularisation: float = 0.01, seed: int
) -> tuple[Floats, Floats]:
    """Return the users float32[U, D] and items float32[I, D] of `als`; the defaults are the library's."""
    from implicit.als import AlternatingLeastSquares

    with threadpool_limits(1, "blas"):  # its own threads and BLAS's would fight over the cores
        model = AlternatingLeastSquares(
            factors=factors,
            alpha=alpha,
            regularization=regularisation,
            iterations=20,
            random_state=seed,
            num_threads=THREADS,
        )
        model.fit(matrix_UI, show_progress=False)
    return np.asarray(model.user_factors), np.asarray(model.item_factors)


def bpr(
    log: TrainingLog, *, factors: int, learning_rate: float, sweeps: int, regularisation: float, seed: int = 0
) -> Scorer:
    """Return Bayesian personalised ranking (Rendle et al., UAI 2009)."""
    from implicit.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=factors,
        learning_rate=learning_rate,
        iterations=sweeps,
        regularization=regularisation,
        random_state=seed,
        num_threads=THREADS,
    )
    model.fit(log.matrix, show_progress=False)
    return VectorScorer(np.asarray(model.user_factors), np.asarray(model.item_factors))


def untrained_svd(log: TrainingLog, *, factors: int, gamma: float, activity: float) -> Scorer:
    """Return a dual encoder that was never trained: spectral item vectors, users the mean of their items.

    Both sides are L2-normalised; the score is gamma <u, v> / temperature + log popularity + activity * log activity,
    folded into one inner product of width D + 2.

    Args:
        log: The training log.
        factors: D.
        gamma: Weight of taste against popularity.
        activity: Weight of the user's activity, which only matters for ranking users.
    """
    users, items = log.once(("svd", factors), lambda: _spectral_vectors(log, factors))
    scale = np.float32(gamma / TEMPERATURE)
    popular = np.log(log.item_counts + 0.5).astype(np.float32)
    active = (activity * np.log(np.maximum(log.user_counts, 1))).astype(np.float32)
    ones = np.ones((len(users) + len(items), 1), np.float32)
    return VectorScorer(
        np.hstack([scale * users, ones[: len(users)], active[:, None]]),
        np.hstack([items, popular[:, None], ones[: len(items)]]),
    )


def _spectral_vectors(log: TrainingLog, factors: int) -> tuple[Floats, Floats]:
    from scipy.sparse.linalg import svds

    matrix = log.matrix
    by_user, by_item = (1 / np.sqrt(counts + DEGREE_SMOOTHING) for counts in (log.user_counts, log.item_counts))
    normalised = sp.csr_matrix(sp.diags(by_user) @ matrix @ sp.diags(by_item), dtype=np.float32)
    factors = min(factors, min(normalised.shape) - 1)
    _, singular, right = svds(normalised, k=factors, random_state=0)
    items = np.asarray(right.T * np.sqrt(singular), np.float32)
    return _unit_rows(np.asarray(matrix @ items, np.float32)), _unit_rows(items)


def _unit_rows(vectors: Floats) -> Floats:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-9), np.float32)
