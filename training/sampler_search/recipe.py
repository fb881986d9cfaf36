"""Choose the negative samplers of a consumer on what is known as of a partition, and record the choice.

The search trains the two-tower, by validation on the newest tenth of the log; a consumer is offered the samplers that
its training can draw from. A choice that does not beat uniform draws on that validation is not made: uniform stays.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from training.contracts.partitions import Partition
from training.data.interactions import codes, epoch_seconds, read_log, values_of
from training.data.pair_log import PairLog
from training.ranking.cut import Cut
from training.ranking.two_tower import TwoTowerConfig
from training.reproducible import deterministic
from training.sampler_search.choice import ChosenSampler, record_choice
from training.sampler_search.ranking_model import RankingModel
from training.sampler_search.sampled_ranking import SampledRankingConfig, SampledTraining, fit_sampled
from training.sampler_search.search import SamplerChoice, SamplerSearchConfig, search_samplers
from training.sampler_search.two_tower_ranking import TwoTowerRanking
from training.sampler_search.validation import HeldOut
from training.samplers.candidates import CANDIDATES, POPULARITY_POWERS, UNIFORM, samplers_of
from training.settings import Settings

logger = logging.getLogger(__name__)
WITHOUT_SCORES = tuple(POPULARITY_POWERS)
OFFERED = {"matching": CANDIDATES, "cold_start": WITHOUT_SCORES, "multi_interest": WITHOUT_SCORES}
"""What each consumer's training can draw from; a consumer that is not listed is offered all. Where a training scores
the whole catalogue, as `matching` and `cold_start` do by default, nothing is sampled and the choice waits for one that
is; `multi_interest` draws by its choice where the catalogue is too large to score."""


@dataclass(frozen=True, kw_only=True)
class SamplerRecipeConfig:
    """What is fixed about a consumer's search.

    Attributes:
        search: The search; its candidates are replaced by what the consumer is offered.
        tower: The model that is trained.
        validation_share: Share of rows, the newest, that validate.
        min_validation_rows: With fewer nothing is searched and uniform is recorded.
        max_pairs: Only the users with the newest activity are searched on, up to about this many pairs.
    """

    search: SamplerSearchConfig = field(
        default_factory=lambda: SamplerSearchConfig(
            training=SampledRankingConfig(learning_rate=0.01, l2=0.0, patience=2)
        )
    )
    tower: TwoTowerConfig = field(default_factory=lambda: TwoTowerConfig(width=32, temperature=0.2))
    validation_share: float = 0.1
    min_validation_rows: int = 50
    max_pairs: int = 100_000


def search_for_consumer(
    settings: Settings, partition: Partition, consumer: str, config: SamplerRecipeConfig | None = None
) -> ChosenSampler:
    """Search, record and return the samplers of a consumer; equal data and seed give the same bytes.

    Raises:
        MissingArtefact: The interactions of the partition are not there.
    """
    config = config or SamplerRecipeConfig()
    log = read_log(settings, partition, ("user_id", "item_id", "occurred_at"))
    users, items = log["user_id"], log["item_id"]
    sizes = len(values_of(users)), len(values_of(items))
    as_of = int(partition.as_of.timestamp())
    pairs = PairLog.of(codes(users), codes(items), epoch_seconds(log["occurred_at"]), *sizes, as_of).distinct()
    cut = Cut.at(newest_users(pairs, config.max_pairs), 1 - config.validation_share)
    if len(cut.later) < config.min_validation_rows:
        weights, evidence = {UNIFORM: 1.0}, {"reason": f"{len(cut.later)} held-out pairs are too few to choose by"}
    else:
        search = replace(config.search, candidates=OFFERED.get(consumer, CANDIDATES), seed=settings.seed)
        with deterministic(settings.seed):
            weights, evidence = judged(lambda: TwoTowerRanking(cut.known, config.tower), cut.known, cut.later, search)
    chosen = ChosenSampler(consumer=consumer, partition=str(partition), weights=weights, evidence=evidence)
    record_choice(settings, chosen)
    logger.info("samplers of %s as of %s: %s", consumer, partition, weights)
    return chosen


def judged(
    make_model: Callable[[], RankingModel], known: PairLog, held_out: PairLog, search: SamplerSearchConfig
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the weights of the search, or uniform where those are no better, and what either was worth."""
    choice = search_samplers(make_model, known, held_out, search)
    validation = HeldOut(known.matrix(), held_out.matrix())
    training = SampledTraining(make_model(), known, samplers_of(known, (UNIFORM,)), search.training, search.seed)
    uniform = fit_sampled(training, torch.ones(1), validation.ndcg)
    is_better = choice.fitted.value > uniform.value
    evidence = {
        "validation_ndcg@20": {"choice": choice.fitted.value, UNIFORM: uniform.value},
        "num_pairs": {"known": len(known), "held_out": len(held_out)},
        "searched": choice.weights,
        **_story(choice, search),
    }
    return (choice.weights if is_better else {UNIFORM: 1.0}), evidence


def newest_users(pairs: PairLog, max_pairs: int) -> PairLog:
    """Return whole histories of the users with the newest last pair, up to about `max_pairs` pairs."""
    age_U, count_U = pairs.user_age_days(), pairs.user_counts()
    order = age_U.argsort(kind="stable")
    kept = order[: max(1, int((count_U[order].cumsum() <= max_pairs).sum()))]
    is_kept = count_U < 0
    is_kept[kept] = True
    return pairs.where(is_kept[pairs.user_idx])


def _story(choice: SamplerChoice, search: SamplerSearchConfig) -> dict[str, Any]:
    rounds = [asdict(step) | {"dropped": list(step.dropped)} for step in choice.searched.rounds]
    return {"method": search.method, "rounds": rounds, "num_epochs": choice.fitted.num_epochs}
