"""List the peers with their grids, and choose a point of a grid on validation."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import scipy.sparse as sp

from training.evaluation.metrics import Scorer, evaluate
from training.evaluation.peers import counts, factors, linear, neighbours
from training.evaluation.peers.log import TrainingLog

Params = dict[str, Any]


@dataclass(frozen=True)
class Peer:
    """One incumbent: how to fit it and which parameters to try.

    Attributes:
        name: As tables print it.
        fit: Takes a log and the parameters of one grid point.
        grid: Points to try; one point is not tuned.
        seeded: Whether `fit` takes a `seed` that changes the result.
    """

    name: str
    fit: Callable[..., Scorer]
    grid: tuple[Params, ...]
    seeded: bool = False


def _grid(**choices: Iterable[Any]) -> tuple[Params, ...]:
    return tuple(dict(zip(choices, point, strict=True)) for point in itertools.product(*choices.values()))


PEERS = (
    Peer("popularity / activity", counts.popularity, ({},)),
    Peer("recent popularity", counts.recent_popularity, _grid(share=(0.02, 0.05, 0.1, 0.25))),
    Peer("EASE", linear.ease, _grid(ridge=(100, 300, 1000, 3000, 10000, 30000))),
    Peer("ALS", factors.als, _grid(factors=(32, 64, 128), alpha=(1.0, 10.0), regularisation=(0.05,)), seeded=True),
    Peer(
        "BPR",
        factors.bpr,
        _grid(factors=(64,), learning_rate=(0.05,), sweeps=(50, 150), regularisation=(0.01, 0.05)),
        seeded=True,
    ),
    Peer("item-kNN", neighbours.cosine_neighbours, _grid(neighbours=(20, 50, 100, 300))),
    Peer(
        "BM25",
        neighbours.bm25_neighbours,
        _grid(neighbours=(50, 200), saturation=(1.2, 10.0), length_share=(0.2, 0.75)),
    ),
    Peer("Markov counts", counts.markov, _grid(window=(1, 3, 10), last=(1, 5, 20), shrink=(0, 20))),
    Peer(
        "untrained SVD",
        factors.untrained_svd,
        _grid(factors=(64, 128, 256), gamma=(0.3, 0.7, 1.0), activity=(0.0, 1.0)),
    ),
)


@dataclass(frozen=True)
class Trial:
    """One grid point on validation: recommendation NDCG at the protocol's cut, and seconds to fit."""

    params: Params
    ndcg: float
    seconds: float


def tune(peer: Peer, log: TrainingLog, validation_UI: sp.csr_matrix, k: int) -> list[Trial]:
    """Return every grid point, best first by recommendation NDCG@k on validation; ties keep the grid's order.

    Args:
        peer: The incumbent.
        log: The earlier part of the training period.
        validation_UI: Held-out pairs of its later part, float32[U, I].
        k: Cut.
    """
    trials = []
    for params in peer.grid:
        started = time.perf_counter()
        scorer = peer.fit(log, **params)
        seconds = time.perf_counter() - started
        ndcg = evaluate(scorer, log.matrix, validation_UI, k, targeting=False).recommendation.summary(k)[f"ndcg@{k}"]
        trials.append(Trial(params, round(ndcg, 4), round(seconds, 2)))
    return sorted(trials, key=lambda trial: -trial.ndcg)
