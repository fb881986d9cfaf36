"""Tune, fit and score the peers on one problem."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import numpy as np

from training.bench.shared.cache import Cache, code_hash, library_versions
from training.bench.shared.rows import Row, average
from training.bench.shared.tasks import Problem, Task
from training.evaluation.metrics import TwoSidedScores, evaluate
from training.evaluation.peers.table import PEERS, Params, Peer, tune

logger = logging.getLogger(__name__)


def peer_rows(problem: Problem, cache: Cache, seeds: Sequence[int], peers: Sequence[Peer] = PEERS) -> list[Row]:
    """Return a row for each peer: chosen on validation, scored once on the test, seeded ones over all seeds."""
    return [Row.from_dict(_cached(problem, cache, tuple(seeds), peer)) for peer in peers]


def _cached(problem: Problem, cache: Cache, seeds: tuple[int, ...], peer: Peer) -> dict[str, object]:
    used = seeds if peer.seeded else seeds[:1]
    key = {
        "data": problem.content_hash,
        "protocol": problem.protocol,
        "peer": peer.name,
        "grid": list(peer.grid),
        "seeds": list(used),
        "code": code_hash(__name__),
        "versions": library_versions(),
    }
    row: dict[str, object] = cache.get(
        f"{problem.label} {peer.name}", key, lambda: _measure(problem, peer, used).to_dict()
    )
    return row


def _measure(problem: Problem, peer: Peer, seeds: tuple[int, ...]) -> Row:
    started = time.perf_counter()
    params = _choose(problem.validation, peer)
    tune_seconds = time.perf_counter() - started
    runs = [_fit(problem, peer, params | ({"seed": seed} if peer.seeded else {})) for seed in seeds]
    metrics, spread = average([scores for scores, _ in runs], problem.test.k)
    logger.info(
        "%s: %s NDCG %.4f, chosen in %.0f s", problem.label, peer.name, metrics[f"ndcg@{problem.test.k}"], tune_seconds
    )
    return Row(
        data=problem.data,
        protocol=problem.protocol,
        model=peer.name,
        family="peer",
        params=params,
        seeds=seeds,
        metrics=metrics,
        seed_spread=spread,
        fit_seconds=round(float(np.median([seconds for _, seconds in runs])), 2),
        tune_seconds=round(tune_seconds, 1),
    )


def _choose(task: Task, peer: Peer) -> Params:
    if len(peer.grid) == 1:
        return peer.grid[0]
    return tune(peer, task.log.without_memo(), task.held_out, task.k)[0].params


def _fit(problem: Problem, peer: Peer, params: Params) -> tuple[TwoSidedScores, float]:
    task = problem.test
    log = task.log.without_memo()
    started = time.perf_counter()
    scorer = peer.fit(log, **params)
    seconds = time.perf_counter() - started
    targeting = problem.protocol == "temporal"
    return evaluate(scorer, log.matrix, task.held_out, task.k, targeting=targeting), seconds
