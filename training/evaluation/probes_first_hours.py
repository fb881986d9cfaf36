"""Ask how well users are told before they have done anything: by their first picks, their profile, or not at all.

The light model learns from older users whose behaviour is hidden, and is judged on users it never saw.

Shape legend: U users, I items, R representation columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.arrays import Floats
from training.evaluation.light_model import fit_light_model
from training.evaluation.probe_report import auc
from training.evaluation.probes import PairTask
from training.reproducible import deterministic

TOP = 10
MIN_NEW_USERS = 20


@dataclass(frozen=True)
class FirstHours:
    """What older users teach and new users are judged on; rows of all representations follow the same users.

    Attributes:
        old: Labelled pairs of users with a past (hidden from their representation).
        new: Labelled pairs of users without one.
        popularity_I: Past interactions of each item, float32 [I].
    """

    old: PairTask
    new: PairTask
    popularity_I: Floats


def compare_first_hours(
    task: FirstHours, representations: Mapping[str, Floats], items_IV: Floats, seed: int
) -> dict[str, Any]:
    """Return accuracy, AUC and hits among the first ten per representation, and gains over popularity.

    Popularity and every representation see the same item side: the vectors and the logarithm of popularity.
    """
    if task.old.too_small or task.new.num_users < MIN_NEW_USERS:
        return {"evidence": f"not enough evidence: n={task.new.num_users} new users"}
    log_popularity = np.log1p(task.popularity_I)[:, None]
    centred = ((log_popularity - log_popularity.mean()) / max(float(log_popularity.std()), 1e-6)).astype(np.float32)
    nobody = np.zeros((len(next(iter(representations.values()))), 1), np.float32)
    table = {"popularity": _judge(task, nobody, centred, seed)}
    with_popularity = np.hstack([items_IV, centred])
    table |= {name: _judge(task, users, with_popularity, seed) for name, users in representations.items()}
    return {
        "evidence": f"{task.new.num_positives} positives of {task.new.num_users} new users",
        "baseline": "popularity",
        "representations": {name: figures | _gains(figures, table["popularity"]) for name, figures in table.items()},
    }


def _judge(task: FirstHours, users_UR: Floats, items_IV: Floats, seed: int) -> dict[str, float]:
    old, new = task.old, task.new
    with deterministic(seed):
        model = fit_light_model(old.user_idx, old.item_idx, old.label, users_UR, items_IV, seed)
        score = model.score(new.user_idx, new.item_idx, users_UR, items_IV)
        hits = _hits(task, lambda u, i: model.score(u, i, users_UR, items_IV), len(items_IV))
    return {
        "accuracy": round(float(((score > 0) == (new.label > 0)).mean()), 5),
        "auc": round(auc(score, new.label), 5),
        f"hits_at_{TOP}": round(hits, 5),
    }


def _hits(task: FirstHours, score: Any, num_items: int) -> float:
    """Return the share of the new users' positives that all items' ranking puts among the first ten."""
    positive = task.new.label > 0
    users = np.unique(task.new.user_idx[positive])
    items = np.arange(num_items)
    found = 0
    for user in users:
        ranked = np.argsort(-score(np.full(num_items, user), items), kind="stable")[:TOP]
        found += int(np.isin(task.new.item_idx[positive & (task.new.user_idx == user)], ranked).sum())
    return found / max(int(positive.sum()), 1)


def _gains(figures: Mapping[str, float], baseline: Mapping[str, float]) -> dict[str, float]:
    return {
        f"{name}_gain_relative": round(value / max(baseline[name], 1e-12) - 1, 5) for name, value in figures.items()
    }
