"""Fit the linear start of the cold-start model in closed form: reduced-rank ridge regression.

The log's leading directions, damped as a linear autoencoder with ridge damps them, give the items' factors and the old
users' coordinates; ridge regression from attributes and picks gives the new users'. Picks enter as the mean direction
of who interacted with them, so that a rare pick is no column of its own.

Shape legend: U users, I items, V attribute values, C coordinates, E width of a pick's direction, F regressors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from training.arrays import Doubles
from training.consumers.cold_start.dataset import ColdStartData
from training.consumers.cold_start.linear import LinearStart, token_counts
from training.ranking.initialisation import svd_items

NUM_BEST_SELLERS = 20


@dataclass(frozen=True, kw_only=True)
class LinearStartConfig:
    """Sizes and strengths.

    Attributes:
        width: C.
        damping: Ridge of the linear autoencoder: a direction of squared singular value s² keeps s² / (s² + damping).
        strength: Ridge of the regression from attributes, in users.
        pick_width: E.
        pick_scale: Length of a pick's direction; the longer, the less ridge holds it back against attribute values.
    """

    width: int = 64
    damping: float = 200.0
    strength: float = 40.0
    pick_width: int = 32
    pick_scale: float = 1.7


def fit_linear_start(data: ColdStartData, config: LinearStartConfig, seed: int) -> LinearStart:
    """Return the linear start learned from all users with pairs.

    Args:
        data: Attributes, picks and pairs.
        config: Sizes and strengths.
        seed: Of the solver that finds the directions.
    """
    values, right = _leading(data.pairs.matrix(), config.width, seed)
    kept = right * (values**2 / (values**2 + config.damping))
    known = data.pairs.matrix()[data.has_history].astype(np.float64)
    shares = np.asarray(known.sum(axis=0)).ravel() / max(known.shape[0], 1)
    centre = -shares @ kept
    to_picks = config.pick_scale * _pick_directions(data, config.pick_width, seed)
    weights, constant = _ridge(_regressors(data, to_picks), known @ kept + centre, config.strength)
    at = len(data.values)
    unit = max(float(np.sort(shares)[-NUM_BEST_SELLERS:].mean()), 1.0 / max(known.shape[0], 1))
    arrays = {
        "values_VC": weights[:at],
        "picks_IC": to_picks @ weights[at:],
        "new_C": constant,
        "behaviours_IC": kept,
        "old_C": centre,
        "items_IC": right / unit,
        "shares_I": shares / unit,
    }
    return LinearStart(**{name: array.astype(np.float32) for name, array in arrays.items()})


def _pick_directions(data: ColdStartData, width: int, seed: int) -> Doubles:
    """Return float64[I, E], unit directions of items in the degree-normalised log."""
    directions = svd_items(data.pairs, width, seed).astype(np.float64)
    return np.asarray(directions / np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-9))


def _regressors(data: ColdStartData, to_picks_IE: Doubles) -> Doubles:
    """Return float64[U', V + E] of users with pairs: counts of attribute values, and the sum of their picks."""
    old_U = data.has_history
    counts = token_counts(data.attribute_idx_UA[old_U], len(data.values)).toarray()
    return np.hstack([counts, token_counts(data.pick_idx_UP[old_U], len(data.items)) @ to_picks_IE])


def _leading(matrix: sp.csr_matrix, width: int, seed: int) -> tuple[Doubles, Doubles]:
    """Return singular values and right vectors [I, C], zeros beyond the rank."""
    from sklearn.utils.extmath import randomized_svd

    width = min(width, *matrix.shape)
    if not matrix.nnz:
        return np.zeros(width), np.zeros((matrix.shape[1], width))
    _, values, right = randomized_svd(matrix, width, n_iter=4, random_state=seed)
    return values.astype(np.float64), right.T.astype(np.float64)


def _ridge(regressors: Doubles, targets: Doubles, strength: float) -> tuple[Doubles, Doubles]:
    """Return weights [F, C] and the constant [C], which is not held back; nobody gives zeros."""
    from sklearn.linear_model import Ridge

    if not regressors.size:
        constant = targets.sum(axis=0) / max(len(targets), 1)
        return np.zeros((regressors.shape[1], targets.shape[1])), constant
    fitted = Ridge(alpha=strength, solver="cholesky").fit(regressors, targets)
    return fitted.coef_.T, fitted.intercept_
