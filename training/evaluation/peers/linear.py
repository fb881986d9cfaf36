"""EASE: the linear item-to-item model with a zero diagonal, solved in closed form."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from training.contracts.errors import AttuneError
from training.evaluation.metrics import Scorer
from training.evaluation.peers.log import ProductScorer, TrainingLog


def ease(log: TrainingLog, *, ridge: float) -> Scorer:
    """Return EASE (Steck, WWW 2019): the item weights that best rebuild each row from its other items.

    Memory is two float32 [I, I] matrices; the Cholesky inverse is half the work of a general one.

    Raises:
        AttuneError: The ridge is too small for the inverse.
    """
    matrix = log.matrix
    gram = log.once(("gram",), lambda: np.asarray((matrix.T @ matrix).toarray(), np.float32))
    gram = gram + np.float32(ridge) * np.eye(len(gram), dtype=np.float32)
    try:
        inverse = linalg.inv(gram, assume_a="pos", overwrite_a=True)
    except linalg.LinAlgError as error:
        raise AttuneError("expected a positive definite Gram matrix, found a singular one; raise the ridge") from error
    weights = inverse / -np.diag(inverse)[None, :]
    np.fill_diagonal(weights, 0.0)
    return ProductScorer(matrix, weights, np.zeros(log.num_items, np.float32))
