"""Ask whether a user's nearest neighbours are like the user: same favourite, same country, same first picks.

Shape legend: U users, R representation columns, S sampled users.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from training.arrays import Floats, Indices
from training.evaluation.drift import nearest_neighbours

NUM_NEIGHBOURS = 50
MIN_USERS = 50
MAX_USERS = 2000


def neighbours_alike(users_UR: Floats, label_U: Indices, seed: int) -> npt.NDArray[np.float64]:
    """Return nDCG@50 of "has the same label" per sampled user, [S].

    Args:
        users_UR: One row per user.
        label_U: Label of each user; users below 0 have none and take no part.
        seed: Seed of the sample.
    """
    known = np.flatnonzero(label_U >= 0)
    users, labels = users_UR[known], label_U[known]
    sample = np.sort(np.random.default_rng(seed).permutation(len(known))[:MAX_USERS])
    k = min(NUM_NEIGHBOURS, len(known) - 1)
    found = nearest_neighbours(users, sample, k)
    alike = labels[found] == labels[sample][:, None]
    num_alike = np.bincount(labels)[labels[sample]] - 1
    discount = 1 / np.log2(np.arange(k) + 2)
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(num_alike, k)]
    scored: npt.NDArray[np.float64] = (alike * discount).sum(axis=1)[num_alike > 0] / ideal[num_alike > 0]
    return scored


def compare_neighbours(
    representations: Mapping[str, Floats], label_U: Indices, baseline: str, seed: int
) -> dict[str, Any]:
    """Return mean nDCG@50 per representation with its standard error and its relative gain over `baseline`."""
    num_known = int((label_U >= 0).sum())
    if num_known < MIN_USERS or len(np.unique(label_U[label_U >= 0])) < 2:
        return {"evidence": f"not enough evidence: n={num_known} users with a label"}
    scores = {name: neighbours_alike(users, label_U, seed) for name, users in representations.items()}
    reference = scores[baseline].mean()
    return {
        "evidence": f"{num_known} users with a label",
        "baseline": baseline,
        "representations": {
            name: {
                "ndcg": round(float(values.mean()), 5),
                "standard_error": round(float(values.std() / np.sqrt(len(values))), 5),
                "gain_relative": round(float(values.mean() / max(reference, 1e-12) - 1), 5),
            }
            for name, values in scores.items()
        },
    }
