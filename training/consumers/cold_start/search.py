"""Train the cold-start consumer with its choices made on a cut of its own training period.

On what the cut leaves, the linear start is fitted and the network trained, judged after each epoch, and stopped; how
much the start counts beside it is chosen last. Then the same is done with everything.

Shape legend: U users, I items, K judged users, D width.
"""

from __future__ import annotations

import logging
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch

from training.arrays import Doubles, Floats
from training.consumers.cold_start.cut import CUT, GROUPS, Cut
from training.consumers.cold_start.dataset import ColdStartData
from training.consumers.cold_start.linear import LinearStart
from training.consumers.cold_start.linear_fit import LinearStartConfig, fit_linear_start
from training.consumers.cold_start.model import ColdStartModel, StartWeights
from training.consumers.cold_start.network import ColdStartModelConfig, ColdStartNetwork
from training.consumers.cold_start.train import ColdStartTrainingConfig, fit
from training.consumers.cold_start.zero_shot import ZeroShotConfig
from training.data.pair_log import PairLog
from training.evaluation.metrics import RankingScores
from training.ranking.initialisation import svd_items, unit_rows
from training.reproducible import deterministic

logger = logging.getLogger(__name__)
Mode = Literal["none", "single", "base", "full"]
MODES: tuple[Mode, ...] = ("none", "single", "base", "full")
"""What fills a new user: a linear map of attributes, the tower with L_a alone, nothing, the whole tower."""
COUNT_OFFSET = 0.5
START_WEIGHTS = (0.0, 1.0, 2.0, 4.0, 8.0)
BESIDE = 5
"""Epochs over which a validation curve is averaged before its best is taken."""


@dataclass(frozen=True, kw_only=True)
class ColdStartConfig:
    """What is fixed and what is searched.

    Attributes:
        mode: What fills a user without behaviour.
        model: The network; its zero-shot sizes are the scaled-down ones, for catalogues of thousands of items.
        training: How it learns.
        start: The linear start. Nothing of it is searched: the few users of a cut do not tell strengths apart.
        start_weights: Weights of the linear start to choose from, for either group of users.
        early_weights: The weights by which epochs are compared.
        max_epochs: Passes over the users at most.
        max_users: Users that all epochs together show at most: of a large log fewer epochs suffice, for each has more
            users. Thirty passes over a log of six thousand.
        patience: Epochs without a better validation before stopping.
        new_share: Share of users with history who play the new ones.
        old_share: Share of rows, the newest, that old users are judged on.
        min_users: Fewer users with history than this choose nothing: two epochs are trained.
        seed: Seed of every draw.
    """

    mode: Mode = "full"
    model: ColdStartModelConfig = field(
        default_factory=lambda: ColdStartModelConfig(zero_shot=ZeroShotConfig.small(), user_hidden=64)
    )
    training: ColdStartTrainingConfig = field(
        default_factory=lambda: ColdStartTrainingConfig(learning_rate=5e-3, pretend_new=0.7, loss="bernoulli")
    )
    start: LinearStartConfig = field(default_factory=LinearStartConfig)
    start_weights: tuple[float, ...] = START_WEIGHTS
    early_weights: StartWeights = field(default_factory=lambda: StartWeights(new=4.0, old=1.0))
    max_epochs: int = 30
    max_users: int = 12 * 16_384
    patience: int = 8
    new_share: float = 0.2
    old_share: float = 0.1
    min_users: int = 20
    seed: int = 17

    def num_epochs(self, num_users: int) -> int:
        """Return the most epochs over a log with so many users to learn from."""
        shown = max(min(num_users, self.training.epoch_users), 1)
        return max(min(self.max_epochs, self.max_users // shown), 1)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What validation chose.

    Attributes:
        mode: What fills a user without behaviour.
        num_epochs: Passes over the users.
        fill: Whether new users are ranked by filling or by their attributes alone; the tower that imagines encoder
            inputs is trained either way.
        start_weights: How much the linear start counts.
    """

    mode: Mode
    num_epochs: int
    fill: bool = True
    start_weights: StartWeights = field(default_factory=StartWeights)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Full rankings of the cut's new and old users by name of who ranked; "own" is the model's way of training."""

    finite: bool
    scores: dict[str, dict[str, RankingScores]]

    def ndcg(self, name: str, group: str) -> Doubles:
        """Return NDCG@20 of each judged user, float64[K]."""
        return self.scores[name][group].ndcg(CUT)

    def metrics(self) -> dict[str, float]:
        """Return recall and NDCG by name and group, flat."""
        return {
            f"{name}.{group}.{key}".replace("@", "_at_"): value
            for name, groups in self.scores.items()
            for group, scores in groups.items()
            for key, value in scores.summary(CUT).items()
        }


@dataclass(frozen=True, kw_only=True)
class TrainedColdStart:
    """The model of all data, what its gate judges it by, and curves per epoch."""

    model: ColdStartModel
    evidence: Evidence
    curves: dict[str, list[float]]


@dataclass(frozen=True)
class _Trial:
    choice: Choice
    scores: dict[str, RankingScores]
    curves: dict[str, list[float]]


def search_and_train(
    data: ColdStartData, config: ColdStartConfig, space_id: str = "", rival: Choice | None = None
) -> TrainedColdStart:
    """Return the model trained on all of `data`, and its evidence on the cut beside popularity and the ranker alone.

    Args:
        data: Attributes, pairs and vectors.
        config: What is fixed and what is searched.
        space_id: The space of the data's vectors.
        rival: The champion's choices, trained on the same cut unless they are the same choices.
    """
    with deterministic(config.seed):
        return _search_and_train(data, config, space_id, rival)


def _search_and_train(
    data: ColdStartData, config: ColdStartConfig, space_id: str, rival: Choice | None
) -> TrainedColdStart:
    cut = cut_of(data, config)
    enough = int(data.has_history.sum()) >= config.min_users
    trial = _Trial(Choice(mode=config.mode, num_epochs=2), {}, {})
    scores: dict[str, dict[str, RankingScores]] = {}
    if enough:
        trial, alone = _chosen(cut, config)
        popular = cut.judge(*popularity_vectors(cut.known.pairs))
        scores = {"own": trial.scores, "popularity": popular, "ranker alone": alone}
    if enough and rival is not None:
        scores["champion"] = trial.scores if rival == trial.choice else _at(cut, config, rival)
    model = train_cold_start(data, config, trial.choice, space_id)
    logger.info("cold_start: chose %s", asdict(trial.choice))
    evidence = Evidence(finite=_is_finite(model, data), scores=scores)
    return TrainedColdStart(model=model, evidence=evidence, curves=trial.curves)


def cut_of(data: ColdStartData, config: ColdStartConfig) -> Cut:
    """Return the cut that a configuration's choices are made on."""
    return Cut.of(data, config.new_share, config.old_share, config.seed)


def choose(data: ColdStartData, config: ColdStartConfig) -> Choice:
    """Return what the cut inside `data` chooses."""
    return _chosen(cut_of(data, config), config)[0].choice


def train_cold_start(
    data: ColdStartData, config: ColdStartConfig, choice: Choice, space_id: str = ""
) -> ColdStartModel:
    """Return the model of some choices, trained on all of `data`."""
    network = started_network(data, for_mode(config.model, choice.mode), config.seed)
    training = replace(config.training, fill_in_training=config.training.fill_in_training and choice.fill)
    fit(network, data, training, choice.num_epochs, config.seed)
    facts = {"choice": asdict(choice), "config": asdict(config)}
    start = fit_linear_start(data, config.start, config.seed)
    return as_model(data, network, start, config, choice, facts, space_id)


def choice_of(model: ColdStartModel) -> Choice:
    """Return the choices that a model was trained by."""
    told = model.facts["choice"]
    return Choice(**{**told, "start_weights": StartWeights(**told["start_weights"])})


def for_mode(model: ColdStartModelConfig, mode: Mode) -> ColdStartModelConfig:
    """Return the network of an ablation; sizes stay."""
    if mode == "base":
        return replace(model, zero_shot=None)
    views: dict[Mode, Any] = {"none": "linear", "single": "attributes", "full": "both"}
    return replace(model, zero_shot=replace(model.zero_shot or ZeroShotConfig.small(), views=views[mode]))


def started_network(data: ColdStartData, config: ColdStartModelConfig, seed: int) -> ColdStartNetwork:
    """Return a network whose item tables start from the factorised log and whose item terms are log shares."""
    tokens = data.attribute_idx_UA.shape[1] + data.pick_idx_UP.shape[1]
    with deterministic(seed):
        sizes = len(data.values), len(data.items), tokens, data.x_UF.shape[1]
        network = ColdStartNetwork(config, *sizes)
        num_users = max(int(data.has_history.sum()), 1)
        popular = np.log((data.pairs.item_counts() + COUNT_OFFSET) / num_users).astype(np.float32)
        network.start_from(torch.from_numpy(_started_items(data, config.width, seed)), torch.from_numpy(popular))
    return network


def popularity_vectors(known: PairLog) -> tuple[Floats, Floats]:
    """Return users float32[U, 1] and items float32[I, 1] that rank by number of pairs."""
    return np.ones((known.num_users, 1), np.float32), known.item_counts().astype(np.float32)[:, None]


def as_model(
    data: ColdStartData,
    network: ColdStartNetwork,
    start: LinearStart,
    config: ColdStartConfig,
    choice: Choice,
    facts: dict[str, Any],
    space_id: str,
) -> ColdStartModel:
    """Return a trained network and a linear start with their ids."""
    return ColdStartModel(
        space_id=space_id,
        items=data.items,
        values=data.values,
        network=network,
        token_widths=(data.attribute_idx_UA.shape[1], data.pick_idx_UP.shape[1]),
        num_columns=data.x_UF.shape[1],
        history_length=config.training.history_length,
        fill=choice.fill,
        start=start,
        start_weights=choice.start_weights,
        facts=facts,
    )


def _started_items(data: ColdStartData, width: int, seed: int) -> Floats:
    """The first half are leading directions of the space's item vectors, where there are any; the rest is the log's."""
    log = unit_rows(svd_items(data.pairs, width, seed))
    if not data.item_vectors_IE.shape[1]:
        return log
    half = min(width // 2, *data.item_vectors_IE.shape)
    centred = data.item_vectors_IE - data.item_vectors_IE.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    space = unit_rows((left[:, :half] * values[:half]).astype(np.float32))
    return np.hstack([space, log[:, : width - half]]) * np.float32(0.5**0.5)


def _chosen(cut: Cut, config: ColdStartConfig) -> tuple[_Trial, dict[str, RankingScores]]:
    """Return the better way to rank new users, filled or not, and what the ranker alone scores.

    Optimizer B never moves the zero-shot tower, nor A the rest: without filling, the ranker is that of mode base.
    """
    start = fit_linear_start(cut.known, config.start, config.seed)
    own = _try(cut, config, start)
    if config.mode == "base":
        return own, own.scores
    alone = _try(cut, replace(config, mode="base"), start)
    if _new_ndcg(own.scores) >= _new_ndcg(alone.scores):
        return own, alone.scores
    choice = replace(alone.choice, mode=config.mode, fill=False)
    return _Trial(choice, alone.scores, alone.curves), alone.scores


def _try(cut: Cut, config: ColdStartConfig, start: LinearStart) -> _Trial:
    """Train on the cut until its users are ranked no better, and keep what the best epoch scored."""
    found: list[dict[str, RankingScores]] = []
    models: dict[int, ColdStartModel] = {}
    network = started_network(cut.known, for_mode(config.model, config.mode), config.seed)
    early = Choice(mode=config.mode, num_epochs=0, start_weights=config.early_weights)

    def after(epoch: int, trained: ColdStartNetwork) -> bool:
        model = as_model(cut.known, trained, start, config, early, {}, "")
        found.append(cut.judge(model.user_vectors(cut.known, cut.judged_users), model.item_vectors()))
        models[epoch] = replace(model, network=deepcopy(trained))
        for passed_by in models.keys() - _eligible_epochs(found):
            del models[passed_by]
        return epoch - _best_epoch(found) < config.patience

    most = config.num_epochs(int(cut.known.has_history.sum()))
    curves = fit(network, cut.known, config.training, most, config.seed, after)
    for group in GROUPS:
        curves[f"{group}_ndcg_at_20"] = [scores[group].summary(CUT)[f"ndcg@{CUT}"] for scores in found]
    best = _best_epoch(found)
    weights, scores = _best_weights(cut, config, models[best])
    return _Trial(replace(early, num_epochs=best + 1, start_weights=weights), scores, curves)


def _best_weights(
    cut: Cut, config: ColdStartConfig, model: ColdStartModel
) -> tuple[StartWeights, dict[str, RankingScores]]:
    """Return the weights by which each group is ranked best, and how well."""
    unit = replace(model, start_weights=StartWeights(new=1.0, old=1.0))
    users_UD, items_ID = unit.user_vectors(cut.known, cut.judged_users), unit.item_vectors()
    width = model.start.items_IC.shape[1] + 1
    tries = []
    for weight in config.start_weights:
        scale_D = np.ones(users_UD.shape[1], np.float32)
        scale_D[-width:] = weight
        tries.append(cut.judge(users_UD * scale_D, items_ID))
    best = {group: int(np.argmax([_ndcg(scores, group) for scores in tries])) for group in GROUPS}
    weights = StartWeights(**{group: config.start_weights[at] for group, at in best.items()})
    return weights, {group: tries[at][group] for group, at in best.items()}


def _best_epoch(found: list[dict[str, RankingScores]]) -> int:
    """Return the epoch that is best for both groups together, each epoch taken with those beside it: few users judge.

    New users alone would stop before old ones are learned.
    """
    return int(np.argmax(_averaged(found)))


def _eligible_epochs(found: list[dict[str, RankingScores]]) -> set[int]:
    """Return the epochs that may yet be the best: the best of those whose average is final, and all after them."""
    num_final = max(len(found) - BESIDE // 2, 0)
    final = _averaged(found)[:num_final]
    best = {int(np.argmax(final))} if num_final else set()
    return best | set(range(num_final, len(found)))


def _averaged(found: list[dict[str, RankingScores]]) -> Doubles:
    """Return the validation curve, each epoch averaged with those beside it; later epochs still move the last ones."""
    sums = np.array([sum(_ndcg(scores, group) for group in GROUPS) for scores in found])
    reach = BESIDE // 2
    beside = [sums[max(epoch - reach, 0) : epoch + reach + 1].mean() for epoch in range(len(sums))]
    return np.array(beside)


def _new_ndcg(scores: dict[str, RankingScores]) -> float:
    return _ndcg(scores, "new")


def _ndcg(scores: dict[str, RankingScores], group: str) -> float:
    return scores[group].summary(CUT)[f"ndcg@{CUT}"]


def _at(cut: Cut, config: ColdStartConfig, choice: Choice) -> dict[str, RankingScores]:
    model = train_cold_start(cut.known, config, choice)
    return cut.judge(model.user_vectors(cut.known, cut.judged_users), model.item_vectors())


def _is_finite(model: ColdStartModel, data: ColdStartData) -> bool:
    """Return whether all that is served is finite: both sides, and what is imagined of users without history."""
    sides: list[Floats] = [model.user_vectors(data), model.item_vectors()]
    if model.network.zero_shot is not None:
        sides.append(model.virtual_columns(data, np.flatnonzero(~data.has_history)))
    return all(bool(np.isfinite(side).all()) for side in sides)
