"""Predict a user's direction in a tower's terms from the space's vector.

Shape legend: U users, D tower width, Z width of a user vector of the space.
"""

from __future__ import annotations

import numpy as np

from training.arrays import Floats
from training.ranking.calibration import Calibration

_ROWS_AT_ONCE = 8192
"""Users held in double precision at once."""


def z_directions(z_UZ: Floats, z_map_ZD: Floats) -> Floats:
    """Return float32[U, D], L2-normalised: where the space's vectors say that the users stand."""
    mapped = z_UZ @ z_map_ZD
    return np.asarray(mapped / np.maximum(np.linalg.norm(mapped, axis=1, keepdims=True), 1e-9), np.float32)


def fit_z_map(z_UZ: Floats, directions_UD: Floats, strength: float = 1.0) -> Floats:
    """Return float32[Z, D]: the ridge regression from the space's vectors to the directions of users with history.

    It is fitted to directions, not to targets, so nothing that a vector knows of a target can be read off. It is solved
    here since scikit-learn's `Ridge` takes 1.5 to 2.3 times as long, and a search fits one at every step.
    """
    gram, moments = np.zeros((z_UZ.shape[1],) * 2), np.zeros((z_UZ.shape[1], directions_UD.shape[1]))
    for start in range(0, len(z_UZ), _ROWS_AT_ONCE):
        z, target = z_UZ[start : start + _ROWS_AT_ONCE], directions_UD[start : start + _ROWS_AT_ONCE]
        known = target.any(axis=1) & z.any(axis=1)
        z, target = z[known].astype(np.float64), target[known].astype(np.float64)
        gram += z.T @ z
        moments += z.T @ target
    ridge = strength * max(float(np.trace(gram)) / max(len(gram), 1) / 100, 1e-6)
    return np.asarray(np.linalg.solve(gram + ridge * np.eye(len(gram)), moments), np.float32)


def blend(history_UD: Floats, from_z_UD: Floats, calibration: Calibration) -> Floats:
    """Return float32[U, D], L2-normalised; a user without history takes the direction that z predicts."""
    is_cold = np.abs(history_UD).sum(axis=1, keepdims=True) == 0
    mixed = history_UD + np.where(is_cold, 1.0, calibration.z_share) * from_z_UD
    return np.asarray(mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-9), np.float32)
