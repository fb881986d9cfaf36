"""Train `matching` on one problem's training period, over seeds, and judge it as the peers are judged."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from training.bench.quality.representation import Represented, represent
from training.bench.shared.cache import Cache, code_hash, library_versions
from training.bench.shared.rows import Row, average
from training.bench.shared.side_tables import SideTables
from training.bench.shared.splits import Protocol
from training.bench.shared.tasks import Problem
from training.consumers.matching.consumer import MatchingConfig, MatchingModel, train_matching
from training.consumers.matching.search import NEXT_ITEM
from training.consumers.matching.train import MatchingTrainingConfig
from training.evaluation.metrics import TwoSidedScores, VectorScorer, evaluate
from training.settings import Settings

logger = logging.getLogger(__name__)
VARIANTS: Mapping[Protocol, Mapping[str, MatchingConfig]] = {
    "temporal": {
        "matching": MatchingConfig(),
        "matching, untrained start": MatchingConfig(max_epochs=0),
        "matching for items alone": MatchingConfig(training=MatchingTrainingConfig(beta=0.0)),
        "matching for users alone": MatchingConfig(training=MatchingTrainingConfig(alpha=0.0)),
    },
    "loo": {"matching, next item": NEXT_ITEM, "matching, untrained start": replace(NEXT_ITEM, max_epochs=0)},
}
"""Configurations by protocol and by the name that tables print.

The untrained ones say what training adds; those for one task alone, what one model for both costs in quality.
"""


@dataclass(frozen=True)
class _Run:
    scores: TwoSidedScores
    seconds: float
    model: MatchingModel


def matching_rows(
    settings: Settings,
    problem: Problem,
    cache: Cache,
    seeds: Sequence[int],
    variants: Mapping[str, MatchingConfig] | None = None,
    sides: SideTables | None = None,
) -> list[Row]:
    """Return a row per variant. Its seconds are the whole training, every choice on validation included.

    Args:
        settings: The representation is built once into a home of its own below.
        problem: What is learned from and judged by.
        cache: Where rows are kept.
        seeds: Seeds of each variant.
        variants: Configurations by the name that tables print; those of the protocol when not given.
        sides: What is told of the users and items.
    """
    sides = sides or SideTables()
    represented = partial(represent, settings, problem, sides)
    rows = []
    for name, config in (variants or VARIANTS[problem.protocol]).items():
        key = {
            "data": problem.content_hash,
            "sides": sides.content_hash,
            "protocol": problem.protocol,
            "config": asdict(config),
            "seeds": list(seeds),
            "code": code_hash(__name__),
            "versions": library_versions(),
        }
        kept = cache.get(
            f"{problem.label} {name}",
            key,
            partial(_measure, problem, represented, name, config, tuple(seeds)),
        )
        rows.append(Row.from_dict(kept))
    return rows


def _measure(
    problem: Problem, build: Callable[[], Represented], name: str, config: MatchingConfig, seeds: tuple[int, ...]
) -> dict[str, Any]:
    """Return the row's JSON values; the representation is built only here, so that a kept row needs none."""
    represented = build()
    runs = [_run(problem, represented, replace(config, seed=seed)) for seed in seeds]
    metrics, spread = average([run.scores for run in runs], problem.test.k)
    logger.info("%s: %s NDCG %.4f", problem.label, name, metrics[f"ndcg@{problem.test.k}"])
    facts: dict[str, Any] = {"choice": runs[0].model.facts["choice"], "representation_seconds": represented.seconds}
    row = Row(
        data=problem.data,
        protocol=problem.protocol,
        model=name,
        family="ours",
        params=facts,
        seeds=seeds,
        metrics=metrics,
        seed_spread=spread,
        fit_seconds=round(float(np.median([run.seconds for run in runs])), 1),
        tune_seconds=0.0,
    )
    return row.to_dict()


def _run(problem: Problem, represented: Represented, config: MatchingConfig) -> _Run:
    started = time.perf_counter()
    model = train_matching(represented.data, config)
    seconds = time.perf_counter() - started
    users = model.user_vectors(represented.data)[represented.user_rows]
    items = model.item_vectors()[represented.item_rows]
    task = problem.test
    targeting = problem.protocol == "temporal"
    scores = evaluate(VectorScorer(users, items), task.log.matrix, task.held_out, task.k, targeting=targeting)
    return _Run(scores, seconds, model)
