"""Factorise who interacted with what: where the item tables of consumers start, since random starts lose by far."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from training.arrays import Floats
from training.data.pair_log import PairLog

DEGREE_OFFSET = 5.0
"""Added to each degree before normalising, so that a single interaction does not dominate a direction."""


def svd_items(pairs: PairLog, width: int, seed: int) -> Floats:
    """Return float32[I, D]: right singular vectors times singular values, most important first, not normalised.

    A log with fewer users or items than `width` has fewer directions; the rest are zero. Prefixes of the columns are
    the starts of smaller widths.

    Args:
        pairs: Distinct pairs.
        width: D.
        seed: Seed of the randomised solver.
    """
    from sklearn.utils.extmath import randomized_svd

    vectors = np.zeros((pairs.num_items, width), np.float32)
    if len(pairs):
        normalised = degree_normalised(pairs)
        _, values, right = randomized_svd(normalised, min(width, *normalised.shape), n_iter=3, random_state=seed)
        vectors[:, : len(values)] = right.T * values
    return vectors


def degree_normalised(pairs: PairLog) -> sp.csr_matrix:
    """Return float32[U, I]: who interacted with what, over the roots of both degrees."""
    matrix = pairs.matrix()
    users, items = (np.asarray(matrix.sum(axis=axis)).ravel() + DEGREE_OFFSET for axis in (1, 0))
    return sp.csr_matrix(sp.diags(users**-0.5) @ matrix @ sp.diags(items**-0.5), dtype=np.float32)


def unit_rows(rows: Floats) -> Floats:
    """Return float32 rows of length 1; zero rows stay zero."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)
