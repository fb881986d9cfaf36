"""EASE: the linear item-to-item model with a zero diagonal, solved in closed form."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from training.contracts.errors import AttuneError
from training.evaluation.peers.log import ProductScorer, TrainingLog
from training.evaluation.ranking import Floats, Scorer


def ease(log: TrainingLog, *, ridge: float) -> Scorer:
    """Return EASE (Steck, WWW 2019): the item weights that best rebuild each row from its other items.

    Memory is two float32 [I, I] matrices; the Cholesky inverse is half the work of a general one.
    """
    matrix = log.matrix
    gram = log.once(("gram",), lambda: np.asarray((matrix.T @ matrix).toarray(), np.float32))
    inverse = _inverse(gram + np.float32(ridge) * np.eye(len(gram), dtype=np.float32))
    weights = inverse / -np.diag(inverse)[None, :]
    np.fill_diagonal(weights, 0.0)
    return ProductScorer(matrix, weights, np.zeros(log.num_items, np.float32))


def _inverse(positive: Floats) -> Floats:
    factor, failed = lapack.spotrf(positive, lower=0)
    if failed:
        raise AttuneError(
            f"expected a positive definite Gram matrix, found pivot {failed} not positive; raise the ridge"
        )
    upper, _ = lapack.spotri(factor, lower=0)
    upper = np.triu(upper)
    return np.asarray(upper + np.triu(upper, 1).T, np.float32)
