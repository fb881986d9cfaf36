"""Measure what a consumer loses that still reads a new space as if it were the old one.

Shape legend: U users, I items, Z latent columns, R representation columns.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from training.arrays import Floats
from training.evaluation.light_model import fit_light_model
from training.evaluation.probe_report import auc
from training.evaluation.probes import NUM_FOLDS, PairTask
from training.reproducible import deterministic


def compare_staleness(
    task: PairTask,
    old_UZ: Floats,
    read_as: Mapping[str, Floats],
    new_UZ: Floats,
    items_IV: Floats,
    seed: int,
) -> dict[str, Any]:
    """Return AUC of an old consumer on old vectors and on each of `read_as`, and of a retrained one on the new.

    Args:
        task: Labelled pairs.
        old_UZ: Vectors that the consumer was trained on.
        read_as: What it is given later, by name, such as the new vectors as they are and through the map.
        new_UZ: Vectors that the retrained consumer is trained on.
        items_IV: Item side.
        seed: Seed of the folds.
    """
    if task.too_small:
        return {"evidence": task.too_small}
    given = {"old vectors": old_UZ, **read_as}
    scores = _transfer(task, old_UZ, given, items_IV, seed)
    retrained = _transfer(task, new_UZ, {"retrained": new_UZ}, items_IV, seed)
    aucs = {name: round(auc(score, task.label), 5) for name, score in (scores | retrained).items()}
    reference = aucs["old vectors"]
    losses = {name: round(value / reference - 1, 5) for name, value in aucs.items()}
    return {"evidence": f"{task.num_positives} positives of {task.num_users} users", "auc": aucs, "relative": losses}


def compare_cost(task: PairTask, representations: Mapping[str, Floats], items_IV: Floats, seed: int) -> dict[str, Any]:
    """Return CPU seconds and AUC of the same consumer on each representation; ratios matter, seconds do not."""
    if task.too_small:
        return {"evidence": task.too_small}
    table: dict[str, Any] = {}
    for name, users in representations.items():
        started = time.process_time()
        score = _transfer(task, users, {name: users}, items_IV, seed)[name]
        table[name] = {"cpu_seconds": round(time.process_time() - started, 3), "auc": round(auc(score, task.label), 5)}
    return {"evidence": f"{task.num_positives} positives of {task.num_users} users", "consumers": table}


def _transfer(
    task: PairTask, learned_UR: Floats, given: Mapping[str, Floats], items_IV: Floats, seed: int
) -> dict[str, Any]:
    """Return out-of-fold scores of a consumer trained on `learned_UR` and given each of `given`."""
    fold_U = np.random.default_rng(seed).permutation(len(learned_UR)) % NUM_FOLDS
    scores = {name: np.zeros(len(task.label)) for name in given}
    for fold in range(NUM_FOLDS):
        test = fold_U[task.user_idx] == fold
        pairs = (task.user_idx[~test], task.item_idx[~test], task.label[~test])
        with deterministic(seed):
            model = fit_light_model(*pairs, learned_UR, items_IV, seed)
            for name, users in given.items():
                scores[name][test] = model.score(task.user_idx[test], task.item_idx[test], users, items_IV)
    return scores
