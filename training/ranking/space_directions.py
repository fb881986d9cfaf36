"""Predict a user's direction in a tower's terms from the space's vector.

Shape legend: U users, D tower width, Z width of a user vector of the space.
"""

from __future__ import annotations

import numpy as np

from training.arrays import Floats
from training.ranking.calibration import Calibration


def z_directions(z_UZ: Floats, z_map_ZD: Floats) -> Floats:
    """Return float32[U, D], L2-normalised: where the space's vectors say that the users stand."""
    mapped = z_UZ @ z_map_ZD
    return np.asarray(mapped / np.maximum(np.linalg.norm(mapped, axis=1, keepdims=True), 1e-9), np.float32)


def fit_z_map(z_UZ: Floats, directions_UD: Floats, strength: float = 1.0) -> Floats:
    """Return float32[Z, D]: the ridge regression from the space's vectors to the directions of users with history.

    It is fitted to directions, not to targets, so nothing that a vector knows of a target can be read off. It is solved
    here since scikit-learn's `Ridge` takes 1.5 to 2.3 times as long, and a search fits one at every step.
    """
    known = (np.abs(directions_UD).sum(axis=1) > 0) & (np.abs(z_UZ).sum(axis=1) > 0)
    if not known.any():
        return np.zeros((z_UZ.shape[1], directions_UD.shape[1]), np.float32)
    z, target = z_UZ[known].astype(np.float64), directions_UD[known].astype(np.float64)
    gram = z.T @ z
    ridge = strength * max(float(np.trace(gram)) / max(len(gram), 1) / 100, 1e-6)
    return np.asarray(np.linalg.solve(gram + ridge * np.eye(len(gram)), z.T @ target), np.float32)


def blend(history_UD: Floats, from_z_UD: Floats, calibration: Calibration) -> Floats:
    """Return float32[U, D], L2-normalised; a user without history takes the direction that z predicts."""
    is_cold = np.abs(history_UD).sum(axis=1, keepdims=True) == 0
    mixed = history_UD + np.where(is_cold, 1.0, calibration.z_share) * from_z_UD
    return np.asarray(mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-9), np.float32)
