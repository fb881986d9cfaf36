"""Hold one measured line of a result table, and average it over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.contracts.artefacts import Artefact
from training.evaluation.metrics import TwoSidedScores


@dataclass(frozen=True, kw_only=True)
class Row(Artefact):
    """One model on one problem.

    Attributes:
        data: Data set.
        protocol: How it was split.
        model: As tables print it.
        family: "peer" or "ours".
        params: What validation chose.
        seeds: Seeds averaged over; a deterministic model has one.
        metrics: Means over seeds, by the names of `TwoSidedScores.summary`, and se_recall, se_hr, target_se_recall.
        seed_spread: Standard deviations over seeds, by the same names; zeros for one seed.
        fit_seconds: Median seconds of the final fit.
        tune_seconds: Seconds spent on choosing.
    """

    data: str
    protocol: str
    model: str
    family: str
    params: dict[str, Any]
    seeds: tuple[int, ...]
    metrics: dict[str, float]
    seed_spread: dict[str, float]
    fit_seconds: float
    tune_seconds: float

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Row:
        """Return the row, its seeds restored as a tuple."""
        return cls(**{**values, "seeds": tuple(values["seeds"])})


def average(scores: Sequence[TwoSidedScores], k: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return means and standard deviations over seeds of every metric, standard errors over keys among them."""
    summaries = [_with_errors(one, k) for one in scores]
    names = summaries[0]
    means = {name: float(np.mean([s[name] for s in summaries])) for name in names}
    return means, {name: spread([s[name] for s in summaries]) for name in names}


def spread(by_seed: Sequence[float]) -> float:
    """Return the standard deviation over seeds of a figure, 0 of a single seed."""
    return float(np.std(by_seed, ddof=min(1, len(by_seed) - 1)))


def paired_error(by_seed: Sequence[float], reference: Sequence[float]) -> float:
    """Return the standard error, over seeds, of the mean lead of a figure over the reference's of the same seed."""
    return spread(np.subtract(by_seed, reference).tolist()) / float(np.sqrt(len(by_seed)))


def _with_errors(scores: TwoSidedScores, k: int) -> dict[str, float]:
    errors = {"se_recall": _error(scores.recommendation.recall(k)), "se_hr": _error(scores.recommendation.hit_rate(k))}
    if scores.targeting is not None:
        errors["target_se_recall"] = _error(scores.targeting.recall(k))
    return {**scores.summary(k), **errors}


def _error(values: np.ndarray) -> float:
    return float(values.std() / np.sqrt(max(len(values), 1)))
