"""Train the multi-interest model with every choice made on a validation cut of its own training period.

The cut is the last tenth of the log. On the rest, the decay is chosen on the untrained start; then, one after another,
the number of interests and the weight of the repulsion, each trained to its best epoch; then the calibration. Last,
the same is trained on the whole log.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from training.consumers.multi_interest.model import MultiInterestModel, interests_of, win_shares
from training.consumers.multi_interest.network import MultiInterest
from training.consumers.multi_interest.train import MultiInterestTrainingConfig
from training.consumers.multi_interest.trial import (
    Candidate,
    InterestChoice,
    InterestTrial,
    is_better,
    train_choice,
    z_map,
)
from training.data.pair_log import PairLog
from training.ranking.calibration import Calibration, learned_terms
from training.ranking.cut import Cut
from training.ranking.dataset import RankingDataset
from training.ranking.evidence import CHAMPION, Evidence, Vectors
from training.reproducible import deterministic

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class MultiInterestSearchConfig:
    """What is fixed and what is searched.

    Attributes:
        training: How the towers learn; its K, decay and repulsion are where the search starts.
        decays: Decays to choose among on the untrained start.
        interests: Further numbers of interests to try.
        repel_weights: Further weights of the repulsion to try.
        max_epochs: Passes over the users, or over as many as an epoch takes, at most; 0 keeps the untrained start.
        patience: Epochs without a better validation before stopping.
        overrun: Epochs that an alternative may take, in those that were best before it (and one more): trained alike,
            it is compared where the other does best.
        validation_share: Share of rows, the newest, that validate.
        min_validation_rows: Fewer held-out rows than this choose nothing: the start is used as it is.
        seed: Seed of every draw.
    """

    training: MultiInterestTrainingConfig = field(default_factory=MultiInterestTrainingConfig)
    decays: tuple[float, ...] = (0.9, 0.97, 0.99)
    interests: tuple[int, ...] = (8,)
    repel_weights: tuple[float, ...] = (0.0,)
    max_epochs: int = 16
    patience: int = 6
    overrun: float = 1.5
    validation_share: float = 0.1
    min_validation_rows: int = 50
    seed: int = 17

    @property
    def first(self) -> InterestChoice:
        """Where the search starts."""
        towers = self.training.towers
        return InterestChoice(
            num_interests=towers.num_interests, decay=towers.decay, repel_weight=self.training.repel_weight
        )

    def epochs_beside(self, best: InterestChoice) -> int:
        """Return the most epochs of an alternative to `best`."""
        return min(self.max_epochs, math.ceil(self.overrun * best.num_epochs) + 1)


@dataclass(frozen=True, kw_only=True)
class TrainedMultiInterest:
    """The model, what its gate judges it by, and its curves.

    Attributes:
        model: Trained on everything.
        evidence: NDCG of every held-out user and item on the cut, for the choices and their rivals.
        shares_K: Each tower's share of wins in the model; see `multi_interest_model.win_shares`.
        curves: Those of the training on everything, and `validation_ndcg` of the training on the cut.
    """

    model: MultiInterestModel
    evidence: Evidence
    shares_K: list[float]
    curves: dict[str, list[float]]


def search_and_train_interests(
    data: RankingDataset, config: MultiInterestSearchConfig, rival: InterestChoice | None
) -> TrainedMultiInterest:
    """Return the model and its evidence on the cut, beside popularity and, if given, a rival's choices on that cut.

    Args:
        data: Interactions with the vectors of one space.
        config: What is fixed and what is searched.
        rival: The champion's choices; they are trained on the same cut, so that neither has seen what it is judged on.
    """
    with deterministic(config.seed):
        return _search_and_train(data, config, rival)


def _search_and_train(
    data: RankingDataset, config: MultiInterestSearchConfig, rival: InterestChoice | None
) -> TrainedMultiInterest:
    pairs = data.pairs()
    cut = Cut.at(pairs, 1 - config.validation_share)
    trial = InterestTrial(cut, data.content_vectors, data.known_before(cut.known.as_of), config.training, config.seed)
    best = _searched(trial, config)
    logger.info("multi-interest: chose %s", asdict(best.choice))
    network, curves = train_choice(best.choice, config.training, pairs, data.content_vectors, config.seed)
    model = _as_model(data, pairs, network, best.choice, {"config": asdict(config)})
    return TrainedMultiInterest(
        model=model,
        evidence=_evidence(data, trial, best, rival, model, config.min_validation_rows),
        shares_K=win_shares(network, pairs),
        curves=curves | {name: best.curves[name] for name in ("validation_ndcg",) if name in best.curves},
    )


def interest_choice_of(model: MultiInterestModel) -> InterestChoice:
    """Return the choices that a model was trained by."""
    described = model.facts["choice"]
    return InterestChoice(**{**described, "calibration": Calibration(**described["calibration"])})


def _searched(trial: InterestTrial, config: MultiInterestSearchConfig) -> Candidate:
    first = trial.untrained(config.first)
    if len(trial.cut.later) < config.min_validation_rows:
        return first
    starts = [trial.untrained(replace(config.first, decay=decay)) for decay in config.decays]
    start = max([first, *starts], key=lambda one: float(one.found_K2.mean()))
    best = trial.trained(start.choice, config.max_epochs, config.patience)
    for choice in _alternatives(config, best.choice):
        rival = trial.trained(choice, config.epochs_beside(best.choice), config.patience)
        best = rival if is_better(rival.found_K2, best.found_K2) else best
    return replace(best, choice=trial.calibrated(best.network, best.choice))


def _alternatives(config: MultiInterestSearchConfig, choice: InterestChoice) -> Iterator[InterestChoice]:
    for num in config.interests:
        yield replace(choice, num_interests=num)
    for weight in config.repel_weights:
        yield replace(choice, repel_weight=weight)


def _as_model(
    data: RankingDataset, pairs: PairLog, network: MultiInterest, choice: InterestChoice, facts: dict[str, Any]
) -> MultiInterestModel:
    return MultiInterestModel(
        space_id=data.space_id,
        items=data.items,
        network=network,
        calibration=choice.calibration,
        item_terms_I=choice.calibration.item_terms(pairs, learned_terms(network.item_bias, pairs)),
        z_map_ZF=z_map(data.z_UZ, interests_of(network, pairs)),
        facts={"choice": asdict(choice), **facts},
    )


def _evidence(
    data: RankingDataset,
    trial: InterestTrial,
    best: Candidate,
    rival: InterestChoice | None,
    model: MultiInterestModel,
    least: int,
) -> Evidence:
    def vectors_of(choice: InterestChoice) -> Vectors:
        same = replace(choice, calibration=best.choice.calibration) == best.choice
        network = best.network if same else trial.exactly(choice)
        return trial.vectors(network, choice.calibration)

    rivals = {} if rival is None else {CHAMPION: partial(vectors_of, rival)}
    own = partial(vectors_of, best.choice)
    return Evidence.on(trial.cut, own, rivals, (model.user_vectors(data), model.item_vectors()), least)
