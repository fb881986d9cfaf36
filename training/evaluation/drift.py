"""Measure whether a set of user vectors is healthy, and how far it moved from another set.

Shape legend: U users, Z latent columns.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.arrays import Floats


def effective_rank(z_UZ: Floats) -> float:
    """Return exp of the entropy of the normalised singular values of the centred vectors (Roy and Vetterli 2007).

    1 means that all users lie on a line; 0 that they are all the same, or that there are none.
    """
    if len(z_UZ) < 2:
        return 0.0
    singular = np.linalg.svd(z_UZ.astype(np.float64) - z_UZ.mean(axis=0, dtype=np.float64), compute_uv=False)
    if singular.sum() <= 1e-9:
        return 0.0
    share = singular[singular > 1e-12 * singular[0]] / singular.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def norm_statistics(z_UZ: Floats) -> dict[str, float]:
    """Return mean, standard deviation, and the 1st and 99th percentile of the vectors' lengths; empty for no users."""
    if len(z_UZ) == 0:
        return {}
    norms = np.linalg.norm(z_UZ.astype(np.float64), axis=1)
    low, high = np.quantile(norms, (0.01, 0.99))
    return {"mean": float(norms.mean()), "std": float(norms.std()), "p01": float(low), "p99": float(high)}


def neighbour_overlap(left_UZ: Floats, right_UZ: Floats, num_neighbours: int, max_users: int, seed: int) -> float:
    """Return the mean share of a user's nearest neighbours (by cosine) that two spaces agree on.

    Rows of both arrays are the same users. Neighbours are sought among all users for at most `max_users` of them.
    """
    num_users = len(left_UZ)
    k = min(num_neighbours, num_users - 1)
    if k < 1:
        return 1.0
    sample = np.sort(np.random.default_rng(seed).permutation(num_users)[:max_users])
    left, right = nearest_neighbours(left_UZ, sample, k), nearest_neighbours(right_UZ, sample, k)
    return float(np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(left, right, strict=True)]))


def nearest_neighbours(z_UZ: Floats, rows: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
    """Return the k users nearest to each of `rows` by cosine, best first, themselves left out: int64 [rows, k]."""
    unit = z_UZ / np.maximum(np.linalg.norm(z_UZ, axis=1, keepdims=True), 1e-12)
    similarity = unit[rows] @ unit.T
    similarity[np.arange(len(rows)), rows] = -np.inf
    return np.argsort(-similarity, axis=1, kind="stable")[:, :k].astype(np.int64)
