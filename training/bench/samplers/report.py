"""Compare searching a negative sampler with trying every one: quality and total cost, on logs times models.

Split like MixGCF's: each user's pairs at random, 80 % to learn from (a tenth of all to choose by) and 20 % to judge.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from training.bench.quality.report import write_table
from training.bench.samplers import runs as sampler_runs
from training.bench.samplers.runs import RUNS, run_case
from training.bench.samplers.tables import Case, sampler_table, search_table
from training.bench.shared.cache import Cache, code_hash
from training.bench.shared.logs import PublicLog
from training.data.pair_log import PairLog
from training.ranking.two_tower import TwoTowerConfig
from training.sampler_search.light_gcn import LightGCN
from training.sampler_search.matrix_factorisation import MatrixFactorisation
from training.sampler_search.ranking_model import RankingModel
from training.sampler_search.sampled_ranking import SampledRankingConfig
from training.sampler_search.two_tower_ranking import TwoTowerRanking
from training.settings import Settings

logger = logging.getLogger(__name__)
LEARN, CHOOSE = 0.7, 0.8
"""Where a user's pairs, in random order, change from learning to choosing to judging."""


@dataclass(frozen=True, kw_only=True)
class SamplerProblem:
    """Distinct pairs over one pair of index spaces: to learn from, to choose by, to judge by."""

    data: str
    content_hash: str
    known: PairLog
    validation: PairLog
    test: PairLog


@dataclass(frozen=True, kw_only=True)
class ModelCase:
    """A model with how it learns; the same for every sampler.

    Attributes:
        name: As tables print it.
        make: Draws one from torch's generator.
        training: How it learns.
    """

    name: str
    make: Callable[[PairLog], RankingModel]
    training: SampledRankingConfig


WIDTH = 32
_LEARNING = SampledRankingConfig(batch_pairs=1024, learning_rate=0.01, max_epochs=40, patience=3)
MODELS = (
    ModelCase(
        name="MF",
        make=lambda pairs: MatrixFactorisation(pairs.num_users, pairs.num_items, WIDTH),
        training=_LEARNING,
    ),
    ModelCase(
        name="two-tower",
        make=lambda pairs: TwoTowerRanking(pairs, TwoTowerConfig(width=WIDTH, temperature=0.2)),
        training=replace(_LEARNING, learning_rate=0.02, l2=0.0),
    ),
    ModelCase(
        name="LightGCN",
        make=lambda pairs: LightGCN(pairs, WIDTH),
        training=replace(_LEARNING, learning_rate=0.02),
    ),
)


@dataclass(frozen=True, kw_only=True)
class SamplerBenchConfig:
    """How large the comparison is.

    Attributes:
        max_pairs: Of a larger log, users are drawn until about this many pairs are kept.
        core: Users and items with fewer pairs are left out, before and after the drawing.
        num_seeds: Seeds of each model.
        models: What is trained.
    """

    max_pairs: int = 30_000
    core: int = 10
    num_seeds: int = 3
    models: Sequence[ModelCase] = field(default=MODELS)


def run_samplers(
    settings: Settings, logs: Sequence[PublicLog], config: SamplerBenchConfig | None = None
) -> dict[str, str]:
    """Return the Markdown of the comparison by data set, written to the reports folder as well, in full and in brief.

    Args:
        settings: Results are kept under `home/bench`, so that a stopped run goes on where it was.
        logs: Data sets.
        config: Sizes.
    """
    config = config or SamplerBenchConfig()
    cache = Cache(settings.home / "bench" / "results")
    problems = [make_sampler_problem(log, config, settings.seed) for log in logs]
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for problem, model, seed in _cases(problems, config, settings.seed):
        runs.setdefault((problem.data, model.name), []).append(_kept(cache, problem, model, seed, config))
    cases = {p.data: [Case(model=m.name, seeds=runs[p.data, m.name]) for m in config.models] for p in problems}
    tables = {p.data: sampler_table(p.data, describe(p), cases[p.data], settings.seed) for p in problems}
    for data, table in tables.items():
        write_table(settings, f"{data}_samplers", table)
    write_table(settings, f"{'+'.join(cases)}_search", search_table(cases))
    return tables


def _cases(
    problems: Sequence[SamplerProblem], config: SamplerBenchConfig, first: int
) -> Iterator[tuple[SamplerProblem, ModelCase, int]]:
    """Yield all models of all logs with one seed before any with the next."""
    for n in range(config.num_seeds):
        for problem in problems:
            yield from ((problem, model, first + n) for model in config.models)


def _kept(
    cache: Cache, problem: SamplerProblem, model: ModelCase, seed: int, config: SamplerBenchConfig
) -> dict[str, Any]:
    key = {
        "data": problem.content_hash,
        "pairs": config.max_pairs,
        "core": config.core,
        "model": model.name,
        "training": asdict(model.training),
        "seed": seed,
        "torch": torch.__version__,
    }
    found: dict[str, Any] = {}
    halves = (problem.known, problem.validation, problem.test)

    def make() -> RankingModel:
        torch.manual_seed(seed)
        return model.make(problem.known)

    for name in RUNS:
        label = f"{problem.data} {model.name} {name} seed {seed}"
        compute = partial(run_case, name, make, halves, model.training, seed)
        found[name] = cache.get(label, key | {"run": name, "code": code_hash(sampler_runs.__name__)}, compute)
        outcome = found[name]
        logger.info("%s: NDCG@20 %.4f in %.1f CPU s", label, np.mean(outcome["ndcg"]), outcome["cpu_seconds"])
    return found


def make_sampler_problem(public: PublicLog, config: SamplerBenchConfig, seed: int) -> SamplerProblem:
    """Return a log's dense core of some users, split at random within each user."""
    rng = np.random.default_rng(seed)
    frame = core_of(public.frame, config.core)
    counts = frame.groupby("user_id").size().sort_index()
    order = rng.permutation(len(counts))
    drawn = counts.index[order][np.cumsum(counts.to_numpy()[order]) <= config.max_pairs]
    frame = core_of(frame[frame["user_id"].isin(drawn)], config.core)
    user_idx = np.unique(frame["user_id"].to_numpy(), return_inverse=True)[1]
    item_idx = np.unique(frame["item_id"].to_numpy(), return_inverse=True)[1]
    shape = int(user_idx.max()) + 1, int(item_idx.max()) + 1
    whole = PairLog.of(user_idx, item_idx, np.arange(len(frame)), *shape)
    place = places_within(user_idx, rng.random(len(user_idx)))
    is_known, is_later = place < LEARN, place >= CHOOSE
    return SamplerProblem(
        data=public.name,
        content_hash=public.content_hash,
        known=whole.where(is_known),
        validation=whole.where(~is_known & ~is_later),
        test=whole.where(is_later),
    )


def core_of(frame: pd.DataFrame, core: int) -> pd.DataFrame:
    """Return the largest part of a frame in which every user and every item has at least `core` pairs."""
    while True:
        kept = frame
        for column in ("user_id", "item_id"):
            kept = kept[kept.groupby(column)[column].transform("size") >= core]
        if len(kept) == len(frame):
            return kept
        frame = kept


def places_within(user_idx: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return float64[N] in (0, 1): where each row comes among its user's by ascending key."""
    order = np.lexsort((keys, user_idx))
    counts = np.bincount(user_idx)
    starts = np.cumsum(counts) - counts
    places = np.empty(len(user_idx))
    places[order] = (np.arange(len(user_idx)) - np.repeat(starts, counts) + 0.5) / np.repeat(counts, counts)
    return places


def describe(problem: SamplerProblem) -> str:
    """Return the problem's sizes and protocol in one line."""
    known = problem.known
    sizes = f"{known.num_users} users, {known.num_items} items, {len(known)} pairs to learn from"
    return f"{sizes}; each user's pairs split 70/10/20 at random, as in MixGCF (80/20 with a tenth for validation)"
