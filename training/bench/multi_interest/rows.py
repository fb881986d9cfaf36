"""Train each variant of the multi-interest model on a problem over seeds, and keep its figures user by user.

Every seed of a variant chooses its epochs and calibration on the validation users; the test is scored once.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from training.arrays import Doubles
from training.bench.multi_interest.problems import InterestProblem
from training.bench.multi_interest.truth import SEVERAL, interest_figures
from training.bench.multi_interest.variants import VARIANTS
from training.bench.shared.cache import Cache, code_hash, library_versions
from training.bench.shared.workers import side_by_side
from training.consumers.multi_interest.model import interests_of, win_shares
from training.consumers.multi_interest.network import MultiInterest
from training.consumers.multi_interest.train import MultiInterestTrainingConfig
from training.consumers.multi_interest.trial import InterestChoice, InterestTrial, folded, train_choice
from training.contracts.artefacts import Artefact
from training.evaluation.metrics import VectorScorer, evaluate
from training.reproducible import deterministic

logger = logging.getLogger(__name__)
CUTS = (20, 50)
DECAY = 0.98
"""Of every variant at the start; each tower learns its own on."""


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """How long each variant trains, and over which seeds.

    By default no training stops early: few validation users would stop some variants by chance, and the rows would
    differ by that.

    Attributes:
        seeds: Of each variant.
        max_epochs: Passes over the users, or over as many as an epoch takes.
        patience: Epochs without a better validation before stopping.
        most_pairs: A log of more pairs is cut by time alone, for its length.
    """

    seeds: tuple[int, ...] = (17, 18, 19)
    max_epochs: int = 14
    patience: int = 14
    most_pairs: int = 150_000


@dataclass(frozen=True, kw_only=True)
class InterestRow(Artefact):
    """One variant on one problem.

    Attributes:
        variant: As tables print it.
        metrics: Means over users and seeds.
        ndcg: NDCG@20 of each test user, the mean over seeds.
        seed_ndcg: NDCG@20 of each seed, the mean over test users.
        by_truth: Per test user, means over seeds, of simulated users: recall per interest and coverage; empty else.
        num_interests: Of each simulated test user; empty else.
        win_shares: Of each tower, last seed.
        num_epochs: Chosen, by seed.
    """

    variant: str
    metrics: dict[str, float]
    ndcg: list[float]
    seed_ndcg: list[float]
    by_truth: dict[str, list[float]]
    num_interests: list[int]
    win_shares: list[float]
    num_epochs: list[int]


def interest_rows(
    problem: InterestProblem,
    cache: Cache,
    study: StudyConfig,
    variants: Mapping[str, MultiInterestTrainingConfig] = VARIANTS,
    workers: int = 1,
) -> list[InterestRow]:
    """Return a row per variant, computed or kept; `workers` processes train side by side, one core each."""
    measure = partial(_kept, problem, cache, study)
    rows = []
    with side_by_side(workers) as run:
        for row in run(measure, variants, variants.values()):
            logger.info("%s: %s: NDCG@20 %.4f over seeds", problem.label, row.variant, row.metrics["ndcg@20"])
            rows.append(row)
    return rows


def _kept(
    problem: InterestProblem, cache: Cache, study: StudyConfig, name: str, config: MultiInterestTrainingConfig
) -> InterestRow:
    key = {
        "data": problem.content_hash,
        "protocol": problem.protocol,
        "config": asdict(config),
        "study": asdict(study),
        "code": code_hash(__name__),
        "versions": library_versions(),
    }
    with deterministic(study.seeds[0]):
        kept = cache.get(
            f"{problem.label} interests {name}", key, lambda: _measure(problem, name, config, study).to_dict()
        )
    return InterestRow(**kept)


def _measure(
    problem: InterestProblem, name: str, config: MultiInterestTrainingConfig, study: StudyConfig
) -> InterestRow:
    runs, epochs = [], []
    for seed in study.seeds:
        network, chosen = _trained(problem, config, study, seed)
        runs.append(_judge(problem, network, chosen))
        epochs.append(chosen.num_epochs)
        logger.info("%s: %s, seed %d: NDCG@20 %.4f", problem.label, name, seed, runs[-1]["ndcg@20"].mean())
    mean = {metric: np.mean([run[metric] for run in runs], axis=0) for metric in runs[0]}
    truth = {metric: mean[metric].tolist() for metric in ("recall per interest", "coverage") if metric in mean}
    return InterestRow(
        variant=name,
        metrics={metric: float(np.nanmean(values)) for metric, values in mean.items() if metric != "interests"},
        ndcg=mean["ndcg@20"].tolist(),
        seed_ndcg=[float(run["ndcg@20"].mean()) for run in runs],
        by_truth=truth,
        num_interests=[int(count) for count in mean.get("interests", [])],
        win_shares=win_shares(network, problem.learn_from),
        num_epochs=epochs,
    )


def _trained(
    problem: InterestProblem, config: MultiInterestTrainingConfig, study: StudyConfig, seed: int
) -> tuple[MultiInterest, InterestChoice]:
    """Return the network to test and what its validation chose.

    Every seed chooses for itself: one choice for all would repeat its luck in every seed of a row.
    """
    trial = InterestTrial(problem.validation, problem.features_IE, None, config, seed, problem.learn_from)
    start = InterestChoice(num_interests=config.towers.num_interests, decay=DECAY, repel_weight=config.repel_weight)
    best = trial.trained(start, study.max_epochs, study.patience)
    choice = trial.calibrated(best.network, best.choice)
    if problem.refit is None:
        return best.network, choice
    return train_choice(choice, config, problem.refit, problem.features_IE, seed)[0], choice


def _judge(problem: InterestProblem, network: MultiInterest, choice: InterestChoice) -> dict[str, Doubles]:
    """Return every figure of every test user."""
    known, later = problem.test.known, problem.test.later
    interests = interests_of(network, known)
    users, items = folded(network, choice.calibration, known, interests)
    seen, truth = known.matrix(), later.matrix()
    found = evaluate(VectorScorer(users, items), seen, truth, max(CUTS), targeting=False).recommendation
    figures: dict[str, Doubles] = {}
    for k in CUTS:
        figures |= {f"recall@{k}": found.recall(k), f"ndcg@{k}": found.ndcg(k), f"hr@{k}": found.hit_rate(k)}
    figures["cosine"] = _cosines(interests)[found.keys]
    if problem.truth is not None:
        recall, coverage, count = interest_figures(users, items, seen, truth, problem.truth, CUTS[0])
        figures |= {"recall per interest": recall, "coverage": coverage, "interests": count.astype(np.float64)}
    return figures


def _cosines(interests_UKD: np.ndarray) -> Doubles:
    """Return float64[U]: the mean cosine between a user's vectors; 1 for a single one."""
    num = interests_UKD.shape[1]
    if num == 1:
        return np.ones(len(interests_UKD))
    total = np.square(interests_UKD.sum(axis=1)).sum(axis=1) - np.square(interests_UKD).sum(axis=(1, 2))
    return np.asarray(total / (num * (num - 1)), np.float64)


def of_several(row: InterestRow, figure: str) -> Doubles:
    """Return a figure by truth of the users with several interests, float64."""
    chosen = np.array(row.num_interests) >= SEVERAL
    return np.array(row.by_truth[figure], np.float64)[chosen]
