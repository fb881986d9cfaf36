"""Rank every item for users known by attributes alone: `cold_start` beside popularity and ridge regression."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from training.arrays import Floats
from training.bench.cold_start.tasks import ColdTask
from training.bench.shared.cache import Cache, code_hash, library_versions
from training.bench.shared.rows import Row, spread
from training.consumers.cold_start.search import ColdStartConfig, Mode, choose, train_cold_start
from training.evaluation.metrics import RankingScores, score_lists, top_k
from training.evaluation.peers.attributes import group_popularity_scores, popularity_scores, ridge_scores

logger = logging.getLogger(__name__)
PROTOCOL = "coldstart"
CUT = 20
OURS: dict[str, Mode] = {"cold_start": "full", "cold_start, ranker alone": "base"}
Params = dict[str, Any]


@dataclass(frozen=True)
class ColdPeer:
    """One baseline: `fit` gives float32[B, I] scores of a task and a grid point."""

    name: str
    fit: Callable[..., Floats]
    grid: tuple[Params, ...] = ({},)


def _popularity(task: ColdTask) -> Floats:
    return popularity_scores(task.log, task.truth.shape[0])


def _group_popularity(task: ColdTask, *, shrink: float) -> Floats:
    at = task.num_known
    return group_popularity_scores(task.log, task.groups[:at], task.groups[at:], shrink)


def _ridge(task: ColdTask, **params: Any) -> Floats:
    at = task.num_known
    return ridge_scores(task.log, task.attributes_UF[:at], task.attributes_UF[at:], **params)


def _ridge_peer(base: str) -> ColdPeer:
    grid = tuple({"base": base, "strength": strength} for strength in (10.0, 50.0, 200.0))
    return ColdPeer(f"ridge, attributes to {base.upper()} scores", _ridge, grid)


PEERS = (
    ColdPeer("popularity", _popularity),
    ColdPeer("popularity by gender and age", _group_popularity, tuple({"shrink": s} for s in (10.0, 50.0, 200.0))),
    _ridge_peer("ease"),
    _ridge_peer("als"),
)


def judge(task: ColdTask, scores_BI: Floats) -> RankingScores:
    """Return how scores of the new users rank what they interacted with."""
    keys = np.flatnonzero(np.diff(task.truth.indptr)).astype(np.int64)
    return score_lists(keys, top_k(lambda rows: scores_BI[rows], keys, task.truth.shape[1], CUT, None), task.truth)


def cold_rows(
    data: str, content: str, tasks: tuple[ColdTask, ColdTask], cache: Cache, seeds: Sequence[int]
) -> list[Row]:
    """Return a row per variant of ours and per peer: chosen on validation, scored once on the test.

    Args:
        data: Name of the data set.
        content: Hash of its pairs and attributes.
        tasks: Validation and test.
        cache: Where rows are kept.
        seeds: Seeds of ours; the peers draw nothing that matters.
    """
    validation, test = tasks

    def kept(name: str, more: Params, compute: Callable[[], Measured]) -> Measured:
        key = {"data": content, "code": code_hash(__name__), "versions": library_versions(), "model": name, **more}
        return Measured.from_dict(cache.get(f"{data} {PROTOCOL} {name}", key, lambda: compute().to_dict()))

    rows = []
    for name, mode in OURS.items():
        config = ColdStartConfig(mode=mode)
        more = {"config": asdict(config), "seeds": list(seeds)}
        rows.append(kept(name, more, lambda n=name, c=config: _ours(data, n, c, test, seeds)))  # type: ignore[misc]
    for peer in PEERS:
        rows.append(kept(peer.name, {"grid": list(peer.grid)}, lambda p=peer: _peer(data, p, validation, test)))  # type: ignore[misc]
    return [with_lead(one, rows[0]) for one in rows]


@dataclass(frozen=True)
class Measured:
    """A row, and the NDCG of each new user behind it, averaged over seeds."""

    row: Row
    ndcg: list[float]

    def to_dict(self) -> Params:
        """Return JSON values."""
        return {"row": self.row.to_dict(), "ndcg": self.ndcg}

    @classmethod
    def from_dict(cls, values: Params) -> Measured:
        """Return what `to_dict` gave."""
        return cls(Row.from_dict(values["row"]), values["ndcg"])


def with_lead(one: Measured, ours: Measured) -> Row:
    """Return the row with what ours has over it, user by user, and the standard error of that difference."""
    lead = np.array(ours.ndcg) - np.array(one.ndcg)
    more = {"lead": float(lead.mean()), "se_lead": float(lead.std() / np.sqrt(len(lead)))}
    return replace(one.row, metrics={**one.row.metrics, **more})


def _ours(data: str, name: str, config: ColdStartConfig, test: ColdTask, seeds: Sequence[int]) -> Measured:
    started = time.perf_counter()
    choice = choose(test.data, replace(config, seed=seeds[0]))
    chosen = time.perf_counter()
    scores = []
    for seed in seeds:
        model = train_cold_start(test.data, replace(config, seed=seed), choice)
        users = model.user_vectors(test.data)[test.num_known :]
        scores.append(judge(test, users @ model.item_vectors().T))
    fit = (time.perf_counter() - chosen) / len(seeds)
    return _row(data, name, "ours", asdict(choice), tuple(seeds), scores, fit, chosen - started)


def _peer(data: str, peer: ColdPeer, validation: ColdTask, test: ColdTask) -> Measured:
    started = time.perf_counter()
    figures = [0.0]
    if len(peer.grid) > 1:
        figures = [judge(validation, peer.fit(validation, **point)).summary(CUT)[f"ndcg@{CUT}"] for point in peer.grid]
    params = peer.grid[int(np.argmax(figures))]
    chosen = time.perf_counter()
    scores = [judge(test, peer.fit(test, **params))]
    return _row(data, peer.name, "peer", params, (0,), scores, time.perf_counter() - chosen, chosen - started)


def _row(
    data: str,
    name: str,
    family: str,
    params: Params,
    seeds: tuple[int, ...],
    scores: Sequence[RankingScores],
    fit_seconds: float,
    tune_seconds: float,
) -> Measured:
    summaries = [one.summary(CUT) for one in scores]
    logger.info("%s %s: %s NDCG %.4f", data, PROTOCOL, name, np.mean([s[f"ndcg@{CUT}"] for s in summaries]))
    row = Row(
        data=data,
        protocol=PROTOCOL,
        model=name,
        family=family,
        params=params,
        seeds=seeds,
        metrics={key: float(np.mean([s[key] for s in summaries])) for key in summaries[0]},
        seed_spread={key: spread([s[key] for s in summaries]) for key in summaries[0]},
        fit_seconds=round(fit_seconds, 2),
        tune_seconds=round(tune_seconds, 1),
    )
    return Measured(row, np.mean([one.ndcg(CUT) for one in scores], axis=0).tolist())


def full_table(rows: Sequence[Row]) -> str:
    """Return the Markdown of one data set's rows, ours first, then the peers by NDCG; the best of each column bold."""
    ordered = sorted(rows, key=lambda row: (row.family != "ours", -row.metrics[f"ndcg@{CUT}"]))
    first = rows[0]
    lines = [
        f"| {first.data} {PROTOCOL} | R@{CUT} | N@{CUT} | ± | {first.model} leads N by | s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    names = (f"recall@{CUT}", f"ndcg@{CUT}")
    best = {name: max(row.metrics[name] for row in rows) for name in names}
    for row in ordered:
        cells = [_bold(row.metrics[key], best[key]) for key in names]
        error = f"{row.metrics['se_ndcg']:.4f}"
        lead = "" if row is first else f"{row.metrics['lead']:+.4f} ± {row.metrics['se_lead']:.4f}"
        lines.append(f"| {row.model} | {' | '.join(cells)} | {error} | {lead} | {row.fit_seconds:.1f} |")
    about = (
        f"{int(first.metrics['n'])} users held out whole, attributes only; every item ranked; ± is the standard error "
        f"over users, of a lead that of the differences user by user; ours over {len(first.seeds)} seeds "
        f"(spread {first.seed_spread[names[1]]:.4f})."
    )
    return "\n".join([*lines, "", about, ""])


def _bold(value: float, best: float) -> str:
    text = f"{value:.4f}".removeprefix("0")
    return f"**{text}**" if value == best else text
