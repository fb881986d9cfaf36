"""Score lists by the interests that simulated users really have.

Shape legend: K judged users, N list length, C clusters.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from training.arrays import Doubles, Floats, Indices
from training.bench.multi_interest.problems import Truth
from training.evaluation.metrics import VectorScorer, top_k

SEVERAL = 3
"""Interests from which a user counts as one of several."""


def interest_figures(
    users: Floats, items_ID: Floats, seen: sp.csr_matrix, truth: sp.csr_matrix, real: Truth, k: int
) -> tuple[Doubles, Doubles, Indices]:
    """Return per judged user, float64[K] each: recall per interest, coverage of interests, and how many they have.

    Recall per interest is the mean over a user's true interests with held-out items of the share of those items in the
    list; NaN for a user whose held-out items are all outside. Coverage is the share of true interests of which any item
    is in the list.
    """
    keys = np.flatnonzero(np.diff(truth.indptr)).astype(np.int64)
    lists_KN = top_k(VectorScorer(users, items_ID).item_scores, keys, len(items_ID), k, seen)
    pairs = zip(keys, lists_KN, strict=True)
    rows = [_of_user(_row(truth, key), listed, real, real.interests_UC[key]) for key, listed in pairs]
    recall, coverage = np.array(rows, np.float64).reshape(-1, 2).T
    return recall, coverage, real.interests_UC[keys].sum(axis=1)


def _row(matrix: sp.csr_matrix, row: np.int64) -> Indices:
    return np.asarray(matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]], np.int64)


def _of_user(targets: Indices, listed: Indices, real: Truth, interests_C: npt.NDArray[np.bool_]) -> tuple[float, float]:
    mine = np.flatnonzero(interests_C)
    shown = np.unique(real.cluster_I[listed[listed >= 0]])
    hit = np.isin(targets, listed)
    per_interest = [hit[real.cluster_I[targets] == c].mean() for c in mine if (real.cluster_I[targets] == c).any()]
    recall = float(np.mean(per_interest)) if per_interest else float("nan")
    return recall, float(np.isin(mine, shown).mean()) if len(mine) else float("nan")
