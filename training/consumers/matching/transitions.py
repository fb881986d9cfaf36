"""Count what comes after what in histories, and factorise it: as a start of both id tables, and as chances.

Shape legend: U users, I items, D width, R columns.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from training.arrays import Floats
from training.consumers.matching.successors import REACH, TRANSITION_DECAY, Successors
from training.data.pair_log import PairLog

TRANSITIONS_OFFSET = 25.0
"""Added to each item's transitions before dividing by them, so that a single one does not dominate a direction."""


def transition_items(pairs: PairLog, width: int, seed: int) -> tuple[Floats, Floats]:
    """Return float32[I, D] of items as predecessors and as what comes next: the SVD of transitions in histories.

    Transitions are divided by the roots of both ends' totals. Prefixes of the columns are the starts of smaller widths.
    """
    counts = transitions(pairs)
    left, right = (_totals(counts, axis) for axis in (1, 0))
    return _factors(sp.diags(left**-0.5) @ counts @ sp.diags(right**-0.5), width, seed)


def learn_successors(pairs: PairLog, width: int, seed: int) -> Successors:
    """Return the chances that an item is among what follows another, at R = `width` columns; 0 gives none."""
    if not width:
        return Successors.none(pairs.num_items)
    counts = transitions(pairs)
    return Successors(*_factors(sp.diags(1 / _totals(counts, 1)) @ counts, width, seed))


def transitions(pairs: PairLog) -> sp.csr_matrix:
    """Return float64[I, I]: how often an item follows another within `REACH` items of a history, nearer ones more."""
    histories = pairs.histories()
    users = np.repeat(np.arange(pairs.num_users), histories.lengths)
    counts = sp.csr_matrix((pairs.num_items, pairs.num_items))
    for gap in range(1, REACH + 1):
        same = users[gap:] == users[:-gap]
        weights = np.full(int(same.sum()), TRANSITION_DECAY ** (gap - 1))
        ends = histories.item_idx[:-gap][same], histories.item_idx[gap:][same]
        counts = counts + sp.csr_matrix((weights, ends), counts.shape)
    return sp.csr_matrix(counts)


def _totals(counts: sp.csr_matrix, axis: int) -> npt.NDArray[np.float64]:
    return np.asarray(counts.sum(axis=axis), np.float64).ravel() + TRANSITIONS_OFFSET


def _factors(matrix: sp.csr_matrix, width: int, seed: int) -> tuple[Floats, Floats]:
    """Return float32[I, width] twice, most important column first, whose products come nearest to the matrix [I, I].

    Both take the root of the singular values. A smaller matrix has fewer directions; the rest are zero.
    """
    from sklearn.utils.extmath import randomized_svd

    left, right = (np.zeros((matrix.shape[0], width), np.float32) for _ in range(2))
    if matrix.nnz:
        u, values, vt = randomized_svd(
            sp.csr_matrix(matrix, dtype=np.float32), min(width, matrix.shape[0]), n_iter=3, random_state=seed
        )
        left[:, : len(values)], right[:, : len(values)] = u * values**0.5, vt.T * values**0.5
    return left, right
