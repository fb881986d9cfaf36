"""Train one model one way: against a single sampler, a fixed mixture, or whatever a search chooses."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from training.data.pair_log import PairLog
from training.reproducible import deterministic
from training.sampler_search.ranking_model import RankingModel
from training.sampler_search.sampled_ranking import Mixing, SampledRankingConfig, SampledTraining, fit_sampled
from training.sampler_search.search import Method, SamplerSearchConfig, Searched, retrain, search_stage
from training.sampler_search.validation import HeldOut
from training.samplers.candidates import CANDIDATES, samplers_of

Halves = tuple[PairLog, PairLog, PairLog]
Make = Callable[[], RankingModel]
UNIFORM_MIX, LOSS_MIX = "uniform mix of instances", "uniform mix of losses"
SEARCHES: dict[str, Method] = {"bandit": "bandit", "second-order": "second_order", "naive": "naive"}
RUNS = (*CANDIDATES, UNIFORM_MIX, LOSS_MIX, *SEARCHES)
LIST_LENGTH = 20


def run_case(name: str, make: Make, halves: Halves, training: SampledRankingConfig, seed: int) -> dict[str, Any]:
    """Return what one of `RUNS` gives, as JSON values.

    Args:
        name: A sampler, a mixture or a search.
        make: Gives a freshly drawn model, the same at every call.
        halves: Pairs to learn from, to choose by, to judge by.
        training: How the model learns.
        seed: Of every draw.

    Returns:
        ndcg and recall: test figures of each user with held-out pairs, at 20. value: the validation NDCG. cpu_seconds:
        of everything that led there. weights: of the samplers at the end. For a search, `anew` holds the same of a
        retraining that does not start from the search's parameters, and `rounds` what was dropped when.
    """
    with deterministic(seed):
        if name in SEARCHES:
            return _search(SEARCHES[name], make, halves, training, seed)
        names = CANDIDATES if name in (UNIFORM_MIX, LOSS_MIX) else (name,)
        return _fixed(names, "loss" if name == LOSS_MIX else "instance", make, halves, training, seed)


def _fixed(
    names: tuple[str, ...], mixing: Mixing, make: Make, halves: Halves, training: SampledRankingConfig, seed: int
) -> dict[str, Any]:
    known, validation, _ = halves
    started = time.process_time()
    run = SampledTraining(make(), known, samplers_of(known, names), replace(training, mixing=mixing), seed)
    weights_M = torch.full((len(names),), 1 / len(names))
    fitted = fit_sampled(run, weights_M, HeldOut(known.matrix(), validation.matrix()).ndcg)
    seconds = time.process_time() - started
    weights = dict(zip(names, weights_M.tolist(), strict=True))
    return judged(run.model, halves) | {"value": fitted.value, "cpu_seconds": seconds, "weights": weights}


def _search(method: Method, make: Make, halves: Halves, training: SampledRankingConfig, seed: int) -> dict[str, Any]:
    known, validation, _ = halves
    config = SamplerSearchConfig(method=method, training=training, seed=seed)
    searched = search_stage(make, known, validation, config)
    found = _retrained(searched, make, halves, config)
    anew = _retrained(searched, make, halves, replace(config, inherit=False))
    rounds = [{"dropped": list(step.dropped), "weights": step.weights} for step in searched.rounds]
    return found | {"anew": anew, "rounds": rounds}


def _retrained(searched: Searched, make: Make, halves: Halves, config: SamplerSearchConfig) -> dict[str, Any]:
    choice = retrain(searched, make, halves[0], halves[1], config)
    return judged(choice.model, halves) | {
        "value": choice.fitted.value,
        "cpu_seconds": choice.cpu_seconds,
        "weights": choice.weights,
    }


def judged(model: RankingModel, halves: Halves) -> dict[str, list[float]]:
    """Return NDCG and recall at 20 of each user with test pairs; what was known or chosen by is not ranked."""
    known, validation, test = halves
    scores = HeldOut((known.matrix() + validation.matrix()).tocsr(), test.matrix()).judge(model, LIST_LENGTH)
    return {"ndcg": scores.ndcg(LIST_LENGTH).round(6).tolist(), "recall": scores.recall(LIST_LENGTH).round(6).tolist()}
