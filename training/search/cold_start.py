"""Train the cold-start consumer with its choices made on a cut of its own training period.

The cut hides all pairs of some users, who play the new ones, and the newest pairs of the others, who stay old. On the
rest the network is trained, judged after each epoch, and stopped; last, the same is trained on everything.

Shape legend: U users, I items, K judged users, D width.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch

from training.data.cold_start_set import ColdStartData
from training.data.pair_log import PairLog
from training.engine.cold_start import ColdStartTrainingConfig, fit
from training.engine.matching_start import svd_items
from training.evaluation.ranking import RankingScores, VectorScorer, evaluate
from training.models.cold_start import ColdStartModelConfig, ColdStartNetwork
from training.models.cold_start_model import ColdStartModel
from training.models.reproducible import deterministic
from training.models.zero_shot import ZeroShotConfig

_log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Mode = Literal["none", "single", "base", "full"]
MODES: tuple[Mode, ...] = ("none", "single", "base", "full")
"""What fills a new user: a linear map of attributes, the tower with L_a alone, nothing, the whole tower."""
CUT = 20
COUNT_OFFSET = 0.5
GROUPS = ("new", "old")


@dataclass(frozen=True, kw_only=True)
class ColdStartConfig:
    """What is fixed and what is searched.

    Attributes:
        mode: What fills a user without behaviour.
        model: The network; its zero-shot sizes are the scaled-down ones, for catalogues of thousands of items.
        training: How it learns.
        max_epochs: Passes over the users at most.
        patience: Epochs without a better validation before stopping.
        new_share: Share of users with history who play the new ones.
        old_share: Share of rows, the newest, that old users are judged on.
        min_users: Fewer users with history than this choose nothing: two epochs are trained.
        seed: Seed of every draw.
    """

    mode: Mode = "full"
    model: ColdStartModelConfig = field(
        default_factory=lambda: ColdStartModelConfig(width=64, zero_shot=ZeroShotConfig.small(), user_hidden=64)
    )
    training: ColdStartTrainingConfig = field(default_factory=lambda: ColdStartTrainingConfig(learning_rate=3e-3))
    max_epochs: int = 30
    patience: int = 4
    new_share: float = 0.2
    old_share: float = 0.1
    min_users: int = 20
    seed: int = 17


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What validation chose: epochs, and whether new users are ranked by filling or by their attributes alone.

    The tower that imagines encoder inputs is trained either way.
    """

    mode: Mode
    num_epochs: int
    fill: bool = True


@dataclass(frozen=True)
class Cut:
    """What is learned from and what is held out.

    Attributes:
        known: The data without the new users' pairs and without the newest pairs of the others.
        new_UI, old_UI: float32[U, I], held-out pairs of each group; rows of the other users are empty.
    """

    known: ColdStartData
    new_UI: sp.csr_matrix
    old_UI: sp.csr_matrix

    @classmethod
    def of(cls, data: ColdStartData, config: ColdStartConfig) -> Cut:
        """Return the cut; who plays new is drawn by the seed."""
        rng = np.random.default_rng(config.seed)
        with_history = np.flatnonzero(data.has_history)
        chosen = rng.choice(with_history, int(len(with_history) * config.new_share), replace=False)
        new_U = np.zeros(data.pairs.num_users, bool)
        new_U[chosen] = True
        instant = data.pairs.instant_at(1 - config.old_share)
        others = data.pairs.where(~new_U[data.pairs.user_idx])
        earlier, later = others.before(instant), others.since(instant)
        known_U = earlier.user_counts() > 0
        old = later.where(known_U[later.user_idx])
        new = data.pairs.where(new_U[data.pairs.user_idx])
        return cls(data.without_users(~known_U).with_pairs(earlier), new.matrix(), old.matrix())

    def judge(self, users_UD: Floats, items_ID: Floats) -> dict[str, RankingScores]:
        """Return how well vectors rank the held-out pairs of each group."""
        scorer = VectorScorer(users_UD, items_ID)
        seen = self.known.pairs.matrix()
        held_out = dict(zip(GROUPS, (self.new_UI, self.old_UI), strict=True))
        return {
            group: evaluate(scorer, seen, truth, CUT, targeting=False).recommendation
            for group, truth in held_out.items()
        }


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
    cut = Cut.of(data, config)
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
    _log.info("cold_start: chose %s", asdict(trial.choice))
    evidence = Evidence(finite=_is_finite(model, data), scores=scores)
    return TrainedColdStart(model=model, evidence=evidence, curves=trial.curves)


def choose(data: ColdStartData, config: ColdStartConfig) -> Choice:
    """Return what the cut inside `data` chooses."""
    return _chosen(Cut.of(data, config), config)[0].choice


def train_cold_start(
    data: ColdStartData, config: ColdStartConfig, choice: Choice, space_id: str = ""
) -> ColdStartModel:
    """Return the model of some choices, trained on all of `data`."""
    network = started_network(data, for_mode(config.model, choice.mode), config.seed)
    training = replace(config.training, fill_in_training=config.training.fill_in_training and choice.fill)
    fit(network, data, training, choice.num_epochs, config.seed)
    facts = {"choice": asdict(choice), "config": asdict(config)}
    return as_model(data, network, config, facts, space_id, fill=choice.fill)


def choice_of(model: ColdStartModel) -> Choice:
    """Return the choices that a model was trained by."""
    return Choice(**model.facts["choice"])


def for_mode(model: ColdStartModelConfig, mode: Mode) -> ColdStartModelConfig:
    """Return the network of an ablation; sizes stay."""
    if mode == "base":
        return replace(model, zero_shot=None)
    views: dict[Mode, Any] = {"none": "linear", "single": "attributes", "full": "both"}
    return replace(model, zero_shot=replace(model.zero_shot or ZeroShotConfig.small(), views=views[mode]))


def started_network(data: ColdStartData, config: ColdStartModelConfig, seed: int) -> ColdStartNetwork:
    """Return a network whose item tables start from who met what, and whose item terms are log popularity."""
    tokens = data.attribute_idx_UA.shape[1] + data.pick_idx_UP.shape[1]
    with deterministic(seed):
        sizes = len(data.values), len(data.items), tokens, data.x_UF.shape[1]
        network = ColdStartNetwork(config, *sizes)
        popular = np.log(data.pairs.item_counts() + COUNT_OFFSET).astype(np.float32)
        network.start_from(torch.from_numpy(_started_items(data, config.width, seed)), torch.from_numpy(popular))
    return network


def popularity_vectors(known: PairLog) -> tuple[Floats, Floats]:
    """Return users float32[U, 1] and items float32[I, 1] that rank by number of pairs."""
    return np.ones((known.num_users, 1), np.float32), known.item_counts().astype(np.float32)[:, None]


def as_model(
    data: ColdStartData,
    network: ColdStartNetwork,
    config: ColdStartConfig,
    facts: dict[str, Any],
    space_id: str,
    *,
    fill: bool = True,
) -> ColdStartModel:
    """Return a trained network with its ids."""
    return ColdStartModel(
        space_id=space_id,
        items=data.items,
        values=data.values,
        network=network,
        token_widths=(data.attribute_idx_UA.shape[1], data.pick_idx_UP.shape[1]),
        num_columns=data.x_UF.shape[1],
        history_length=config.training.history_length,
        fill=fill,
        facts=facts,
    )


def _started_items(data: ColdStartData, width: int, seed: int) -> Floats:
    """The first half are leading directions of the space's item vectors, where there are any; the rest is the log's."""
    log = _unit(svd_items(data.pairs, width, seed))
    if not data.item_vectors_IE.shape[1]:
        return log
    half = min(width // 2, *data.item_vectors_IE.shape)
    centred = data.item_vectors_IE - data.item_vectors_IE.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    space = _unit((left[:, :half] * values[:half]).astype(np.float32))
    return np.hstack([space, log[:, : width - half]]) * np.float32(0.5**0.5)


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)


def _chosen(cut: Cut, config: ColdStartConfig) -> tuple[_Trial, dict[str, RankingScores]]:
    """Return the better way to rank new users, filled or not, and what the ranker alone scores.

    Optimiser B never moves the zero-shot tower, nor A the rest: without filling, the ranker is that of mode base.
    """
    own = _try(cut, config)
    if config.mode == "base":
        return own, own.scores
    alone = _try(cut, replace(config, mode="base"))
    if _new_ndcg(own.scores) >= _new_ndcg(alone.scores):
        return own, alone.scores
    choice = Choice(mode=config.mode, num_epochs=alone.choice.num_epochs, fill=False)
    return _Trial(choice, alone.scores, alone.curves), alone.scores


def _try(cut: Cut, config: ColdStartConfig) -> _Trial:
    """Train on the cut until new users are ranked no better, and keep what the best epoch scored."""
    found: list[dict[str, RankingScores]] = []
    network = started_network(cut.known, for_mode(config.model, config.mode), config.seed)

    def after(epoch: int, trained: ColdStartNetwork) -> bool:
        found.append(_judged(cut, config, trained))
        return epoch - _best_epoch(found) < config.patience

    curves = fit(network, cut.known, config.training, config.max_epochs, config.seed, after)
    for group in GROUPS:
        curves[f"{group}_ndcg_at_20"] = [scores[group].summary(CUT)[f"ndcg@{CUT}"] for scores in found]
    best = _best_epoch(found)
    return _Trial(Choice(mode=config.mode, num_epochs=best + 1), found[best], curves)


def _best_epoch(found: list[dict[str, RankingScores]]) -> int:
    return int(np.argmax([_new_ndcg(scores) for scores in found]))


def _new_ndcg(scores: dict[str, RankingScores]) -> float:
    return scores["new"].summary(CUT)[f"ndcg@{CUT}"]


def _at(cut: Cut, config: ColdStartConfig, choice: Choice) -> dict[str, RankingScores]:
    model = train_cold_start(cut.known, config, choice)
    return cut.judge(model.user_vectors(cut.known), model.item_vectors())


def _judged(cut: Cut, config: ColdStartConfig, network: ColdStartNetwork) -> dict[str, RankingScores]:
    model = as_model(cut.known, network, config, {}, "")
    return cut.judge(model.user_vectors(cut.known), model.item_vectors())


def _is_finite(model: ColdStartModel, data: ColdStartData) -> bool:
    sides: list[Floats] = [model.user_vectors(data), model.item_vectors()]
    if model.network.zero_shot is not None:
        sides.append(model.virtual_columns(data))
    return all(bool(np.isfinite(side).all()) for side in sides)
