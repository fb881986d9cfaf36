"""Search the negative sampler for a model and a log: learn weights, drop the least, train the rest to their end.

AutoSample (arXiv 2311.03526) is known by its abstract; this is a reconstruction. Minimising the *training* loss over
the weights picks the easiest sampler, so weights are learned from held-out pairs: by the gradient through one step of
training, or as a bandit. The naive form stays as the reference that must collapse.

Shape legend: M samplers still in the search.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import torch

from training.data.pair_log import PairLog
from training.sampler_search.bandit import BanditConfig, BanditSearch
from training.sampler_search.contender import Contender
from training.sampler_search.gradient import GradientConfig, GradientSearch
from training.sampler_search.ranking_model import RankingModel
from training.sampler_search.sampled_ranking import (
    Fitted,
    SampledRankingConfig,
    SampledTraining,
    ValidationScore,
    fit_sampled,
)
from training.sampler_search.validation import HeldOut, ValidationLoss
from training.samplers.candidates import CANDIDATES, samplers_of

logger = logging.getLogger(__name__)
Method = Literal["second_order", "bandit", "naive"]


class SearchMethod(Protocol):
    """One way to weigh samplers. Their order is that of `names`."""

    @property
    def names(self) -> Sequence[str]:
        """The M samplers still in the search."""
        ...

    @property
    def least(self) -> int:
        """How many samplers pruning leaves."""
        ...

    def advance(self, num_epochs: int) -> None:
        """Train on and update the weights."""
        ...

    def weights(self) -> np.ndarray:
        """Return float64[M], not negative, summing to 1."""
        ...

    def drop(self, place: int) -> None:
        """Take one sampler out; the others share its weight."""
        ...

    def model(self) -> RankingModel:
        """Return the best model so far."""
        ...

    def contenders(self) -> list[Contender]:
        """End the search and return what may be trained to its end, the likeliest first; at least one."""
        ...


@dataclass(frozen=True, kw_only=True)
class SamplerSearchConfig:
    """What is fixed about the search.

    Attributes:
        method: "second_order" and "bandit" learn from held-out pairs; "naive" from the training loss, as a reference.
        candidates: Names of samplers, at least one.
        training: How models learn, in the search and after it.
        keep: Share of the samplers that stays when those with the least weight are dropped, in (0, 1).
        round_epochs: Epochs before a pruning, times the samplers then in the search: few samplers are told apart over
            a longer horizon, at a cost per round that stays about the same.
        patience: Prunings without a better validation after which the search stops.
        inherit: Whether retraining starts from the search's parameters, or anew.
        gradient: Of "second_order" and "naive".
        bandit: Of "bandit".
        seed: Seed of every draw.
    """

    method: Method = "bandit"
    candidates: tuple[str, ...] = CANDIDATES
    training: SampledRankingConfig = field(default_factory=SampledRankingConfig)
    keep: float = 0.5
    round_epochs: int = 10
    patience: int = 3
    inherit: bool = True
    gradient: GradientConfig = field(default_factory=GradientConfig)
    bandit: BanditConfig = field(default_factory=BanditConfig)
    seed: int = 17


@dataclass(frozen=True, kw_only=True)
class Round:
    """The weights by name when samplers were dropped, which ones, the epochs before it and the validation then."""

    weights: dict[str, float]
    dropped: tuple[str, ...]
    num_epochs: int
    value: float


@dataclass(frozen=True, kw_only=True)
class Searched:
    """What the search stage leaves behind: who is still in the running, how it came to that, and its CPU seconds."""

    contenders: tuple[Contender, ...]
    rounds: tuple[Round, ...]
    cpu_seconds: float


@dataclass(frozen=True, kw_only=True)
class SamplerChoice:
    """The contender that validates best once each has been trained to its end.

    Attributes:
        weights: Of its samplers, by name, summing to 1.
        searched: Where the contenders come from.
        fitted: Its training.
        model: As of its best validation.
        retrain_cpu_seconds: Of all contenders' training.
    """

    weights: dict[str, float]
    searched: Searched
    fitted: Fitted
    model: RankingModel
    retrain_cpu_seconds: float

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of search and retraining together."""
        return self.searched.cpu_seconds + self.retrain_cpu_seconds


def search_samplers(
    make_model: Callable[[], RankingModel], known: PairLog, held_out: PairLog, config: SamplerSearchConfig
) -> SamplerChoice:
    """Return the choice of samplers, and the model trained with them.

    Args:
        make_model: Gives a freshly drawn model over the index spaces of `known`; called once, and once more for every
            contender without inheriting.
        known: Distinct pairs to learn from.
        held_out: Distinct pairs that validate, over the same index spaces.
        config: What is fixed.
    """
    searched = search_stage(make_model, known, held_out, config)
    return retrain(searched, make_model, known, held_out, config)


def search_stage(
    make_model: Callable[[], RankingModel], known: PairLog, held_out: PairLog, config: SamplerSearchConfig
) -> Searched:
    """Return what pruning leaves; see `search_samplers`."""
    started = time.process_time()
    validation = HeldOut(known.matrix(), held_out.matrix())
    method = _method(make_model(), known, held_out, validation.ndcg, config)
    rounds = prune(method, validation.ndcg, config)
    contenders = tuple(method.contenders())
    return Searched(contenders=contenders, rounds=tuple(rounds), cpu_seconds=time.process_time() - started)


def retrain(
    searched: Searched,
    make_model: Callable[[], RankingModel],
    known: PairLog,
    held_out: PairLog,
    config: SamplerSearchConfig,
) -> SamplerChoice:
    """Return the best of the contenders, each trained to its end from where it stands or anew; see `search_samplers`.

    `searched` stays as it is.
    """
    started = time.process_time()
    judge = HeldOut(known.matrix(), held_out.matrix()).ndcg
    ended: list[tuple[Fitted, Contender]] = []
    for one in searched.contenders:
        training = copy.deepcopy(one.training) if config.inherit else _anew(one, make_model(), known, config)
        weights_M = torch.tensor(list(one.weights.values()), dtype=torch.float32)
        ended.append((fit_sampled(training, weights_M, judge), Contender(one.weights, training)))
    fitted, best = max(ended, key=lambda end: end[0].value)
    logger.info("sampler search: chose %s, validation NDCG %.4f", best.weights, fitted.value)
    return SamplerChoice(
        weights=best.weights,
        searched=searched,
        fitted=fitted,
        model=best.training.model,
        retrain_cpu_seconds=time.process_time() - started,
    )


def _anew(one: Contender, model: RankingModel, known: PairLog, config: SamplerSearchConfig) -> SampledTraining:
    return SampledTraining(model, known, samplers_of(known, tuple(one.weights)), config.training, config.seed + 1)


def prune(method: SearchMethod, judge: ValidationScore, config: SamplerSearchConfig) -> list[Round]:
    """Advance, drop the least weights, and repeat until the method's least is left or the validation stalls."""
    rounds: list[Round] = []
    best_at = 0
    while len(method.names) > method.least and len(rounds) - best_at < config.patience:
        num_epochs = max(1, round(config.round_epochs / len(method.names)))
        method.advance(num_epochs)
        weights, value = method.weights(), judge(method.model())
        noted = dict(zip(method.names, map(float, weights), strict=True))
        stay = max(num_kept(len(noted), config.keep), method.least)
        dropped = tuple(sorted(noted, key=lambda name: noted[name])[:-stay])
        rounds.append(Round(weights=noted, dropped=dropped, num_epochs=num_epochs, value=value))
        logger.debug("sampler search: validation %.4f, dropped %s of %s", value, dropped, noted)
        if value >= max(step.value for step in rounds):
            best_at = len(rounds)
        for name in dropped:
            method.drop(method.names.index(name))
    return rounds


def num_kept(num: int, keep: float) -> int:
    """Return how many of several samplers stay: the share, rounded up, but not all."""
    return min(num - 1, math.ceil(num * keep))


def _method(
    model: RankingModel, known: PairLog, held_out: PairLog, judge: ValidationScore, config: SamplerSearchConfig
) -> SearchMethod:
    samplers = samplers_of(known, config.candidates)
    training = SampledTraining(model, known, samplers, config.training, config.seed)
    if config.method == "bandit":
        return BanditSearch(training, config.candidates, judge, config.bandit)
    gradient = config.gradient
    for _ in range(gradient.warm_up_epochs):
        training.epoch(torch.full((len(samplers),), 1 / len(samplers)))
    validation = ValidationLoss(
        known, held_out, config.training.batch_pairs, gradient.validation_negatives, config.seed, gradient.sharpness
    )
    return GradientSearch(training, config.candidates, gradient, None if config.method == "naive" else validation)
