"""Run the ablation of MAIL by its public protocol: 40 % of users are made new by deleting their behaviour.

A fifth of the pairs, drawn at random, is the test; the pairs of new users stay labels, never inputs. (The newest fifth
would be MovieLens' order of asking, which goes down in popularity, and put everyone below chance.) Negatives, in
training as in the test, are drawn in proportion to popularity, so that popularity alone scores one half. AUC is over
all drawn pairs of a group, GAUC the mean of users' own, weighted by their positives. New users are filled at inference
alone, as in the authors' later code: on validation that is ahead of filling in training as well, which is the paper's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata

from training.arrays import Floats, Indices, Mask
from training.bench.shared.cache import Cache, code_hash, library_versions
from training.bench.shared.rows import paired_error, spread
from training.bench.shared.workers import side_by_side
from training.consumers.cold_start.dataset import ColdStartData
from training.consumers.cold_start.network import ColdStartModelConfig, ColdStartNetwork
from training.consumers.cold_start.rows import all_tokens
from training.consumers.cold_start.search import MODES, Mode, for_mode, started_network
from training.consumers.cold_start.train import ColdStartTrainingConfig, Step, fit
from training.consumers.cold_start.zero_shot import ZeroShotConfig
from training.data.pair_log import PairLog
from training.reproducible import deterministic

logger = logging.getLogger(__name__)
NEW_SHARE, TEST_SHARE, VALIDATION_SHARE = 0.4, 0.2, 0.125
CHUNK = 64
GROUPS = ("new", "old")
Figures = dict[str, float]
MODEL = ColdStartModelConfig(ranker="inner_product", zero_shot=ZeroShotConfig.small(dropout=0.5), dropout=0.3)
TRAINING = ColdStartTrainingConfig(
    alignment="paired_mse",
    fill_in_training=False,
    loss="bce",
    negatives="popularity",
    pretend_new=0.0,
    batch_size=128,
    learning_rate=3e-3,
    zero_shot_learning_rate=1e-3,
)


@dataclass(frozen=True, kw_only=True)
class AucConfig:
    """What the four modes have in common: the ranker that is served, the paper's BCE, its zero-shot tower scaled down.

    Attributes:
        model: The network.
        training: Its pace.
        max_epochs: Passes at most; the number is chosen on validation, for all modes together.
        patience: Passes without a better validation before a mode's curve ends.
    """

    model: ColdStartModelConfig = MODEL
    training: ColdStartTrainingConfig = TRAINING
    max_epochs: int = 60
    patience: int = 8


@dataclass(frozen=True)
class Labelled:
    """Pairs with labels, sorted by user.

    Attributes:
        user_idx, item_idx: int64[N].
        positive: bool[N].
    """

    user_idx: Indices
    item_idx: Indices
    positive: Mask


@dataclass(frozen=True)
class AucTask:
    """Pairs to learn from, labelled pairs to be judged by, and who is new."""

    train: ColdStartData
    test: Labelled
    new_U: Mask


def make_auc_task(data: ColdStartData, new_U: Mask, share: float, seed: int) -> AucTask:
    """Return the task whose test is a random `share` of the pairs, with as many negatives."""
    pairs, rng = data.pairs, np.random.default_rng(seed)
    tested = rng.random(len(pairs)) < share
    return AucTask(data.with_pairs(pairs.where(~tested)), _with_negatives(pairs, pairs.where(tested), rng), new_U)


def _with_negatives(pairs: PairLog, held_out: PairLog, rng: np.random.Generator) -> Labelled:
    """Draw a negative per positive in proportion to popularity, drawing again where the user interacted with it."""
    shares, known = pairs.item_counts() / len(pairs), pairs.user_idx * pairs.num_items + pairs.item_idx
    items = rng.choice(pairs.num_items, len(held_out), p=shares)
    for _ in range(20):
        hit = np.flatnonzero(np.isin(held_out.user_idx * pairs.num_items + items, known))
        items[hit] = rng.choice(pairs.num_items, len(hit), p=shares)
    users = np.concatenate([held_out.user_idx, held_out.user_idx])
    positive = np.repeat([True, False], len(held_out))
    order = np.argsort(users, kind="stable")
    return Labelled(users[order], np.concatenate([held_out.item_idx, items])[order], positive[order])


def predict(network: ColdStartNetwork, task: AucTask, history_length: int) -> Floats:
    """Return the logit of each labelled pair, float32[N]; new users are filled where there is a tower."""
    shown = task.train.pairs.where(~task.new_U[task.train.pairs.user_idx])
    data, histories = task.train.with_pairs(shown), shown.histories()
    scores = np.zeros(len(task.test.user_idx), np.float32)
    for start in range(0, data.pairs.num_users, CHUNK):
        users = np.arange(start, min(start + CHUNK, data.pairs.num_users))
        first, last = np.searchsorted(task.test.user_idx, [users[0], users[-1] + 1])
        if first == last:
            continue
        place = task.test.user_idx[first:last] - start
        at = np.arange(last - first) - np.searchsorted(place, place)
        targets = np.zeros((len(users), int(at.max()) + 1), np.int64)
        targets[place, at] = task.test.item_idx[first:last]
        tokens = all_tokens(data, users, history_length, histories)
        with torch.no_grad():
            scores[first:last] = network.logits(tokens, torch.from_numpy(targets), fill=True).numpy()[place, at]
    return scores


def group_figures(test: Labelled, scores: Floats, new_U: Mask) -> Figures:
    """Return auc and gauc of each group."""
    found: Figures = {}
    for group, chosen in zip(GROUPS, (new_U[test.user_idx], ~new_U[test.user_idx]), strict=True):
        users, positive, group_scores = test.user_idx[chosen], test.positive[chosen], scores[chosen]
        found[f"{group}.auc"] = auc(positive, group_scores)
        found[f"{group}.gauc"] = gauc(users, positive, group_scores)
    return found


def auc(positive: Mask, scores: Floats) -> float:
    """Return the chance that a positive outscores a negative, ties halved; one half without either.

    `sklearn.metrics.roc_auc_score` gives the same in 2 ms a call at least, 28 times as long on the 20 rows of a user.
    """
    num_positive, num_negative = int(positive.sum()), int((~positive).sum())
    if not num_positive or not num_negative:
        return 0.5
    ranks = rankdata(scores)
    return float((ranks[positive].sum() - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative))


def gauc(users: Indices, positive: Mask, scores: Floats) -> float:
    """Return the mean AUC of users (sorted), weighted by their positives."""
    edges = [0, *(np.flatnonzero(users[1:] != users[:-1]) + 1).tolist(), len(users)]
    figures = [(int(positive[a:b].sum()), auc(positive[a:b], scores[a:b])) for a, b in pairwise(edges)]
    total = sum(weight for weight, _ in figures)
    return sum(weight * value for weight, value in figures) / total if total else 0.5


def ablation(
    name: str,
    content: str,
    data: ColdStartData,
    cache: Cache,
    seeds: Sequence[int],
    config: AucConfig | None = None,
    workers: int = 1,
) -> dict[str, list[Figures]]:
    """Return the figures of each mode, one per seed.

    All modes train for the same number of epochs, which validation chooses for them together, by the first seed: what
    fills new users never moves the ranker, so that old users are ranked alike and the modes differ by the fill alone.

    Args:
        name: Of the data set.
        content: Hash of its pairs and attributes.
        data: All of it.
        cache: Where figures are kept.
        seeds: Each draws its own new users and test.
        config: What the modes have in common.
        workers: Processes that train side by side, one core each.
    """
    study = _Study(name, content, data, cache, seeds, config or AucConfig())
    with side_by_side(workers) as run:
        epochs = best_epoch(list(run(study.curve, MODES)))
        return dict(zip(MODES, run(partial(study.figures, epochs), MODES), strict=True))


def best_epoch(curves: Sequence[Sequence[float]]) -> int:
    """Return the number, from 1, of the epoch that is best in the mean of the curves, as far as all of them go."""
    together = np.mean([curve[: min(map(len, curves))] for curve in curves], axis=0)
    return int(np.argmax(together)) + 1


@dataclass(frozen=True)
class _Study:
    """One data set's ablation; the fields are the arguments of `ablation`."""

    name: str
    content: str
    data: ColdStartData
    cache: Cache
    seeds: Sequence[int]
    config: AucConfig

    def curve(self, mode: Mode) -> list[float]:
        """Return the validation AUC of new users plus that of old ones after each epoch."""
        kept: list[float] = self._kept("curve", mode, {}, lambda: self._validated(mode))
        return kept

    def figures(self, epochs: int, mode: Mode) -> list[Figures]:
        """Return the test's figures, one per seed."""
        kept: list[Figures] = self._kept("auc", mode, {"epochs": epochs}, lambda: self._tested(epochs, mode))
        return kept

    def _kept(self, what: str, mode: Mode, more: Mapping[str, Any], compute: Callable[[], Any]) -> Any:
        key = {
            "data": self.content,
            "config": asdict(self.config),
            "mode": mode,
            "seeds": list(self.seeds),
            "code": code_hash(__name__),
            "versions": library_versions(),
            **more,
        }
        with deterministic(self.seeds[0]):
            return self.cache.get(f"{self.name} cold {what} {mode}", key, compute)

    def _task(self, seed: int) -> AucTask:
        new_U = np.random.default_rng(seed).random(self.data.pairs.num_users) < NEW_SHARE
        return make_auc_task(self.data, new_U, TEST_SHARE, seed)

    def _validated(self, mode: Mode) -> list[float]:
        seed = self.seeds[0]
        task = self._task(seed)
        inner = make_auc_task(task.train, task.new_U, VALIDATION_SHARE, seed)
        curve: list[float] = []

        def after(epoch: int, trained: ColdStartNetwork) -> bool:
            found = self._judged(trained, inner)
            curve.append(found["new.auc"] + found["old.auc"])
            return epoch - int(np.argmax(curve)) < self.config.patience

        self._fitted(inner, mode, self.config.max_epochs, seed, after)
        return curve

    def _tested(self, epochs: int, mode: Mode) -> list[Figures]:
        results = []
        for seed in self.seeds:
            task = self._task(seed)
            network = self._fitted(task, mode, epochs, seed)
            results.append(self._judged(network, task) | {"epochs": float(epochs)})
            logger.info("%s %s seed %d: %s", self.name, mode, seed, results[-1])
        return results

    def _fitted(
        self, task: AucTask, mode: Mode, epochs: int, seed: int, after: Step = lambda epoch, network: True
    ) -> ColdStartNetwork:
        network = _network(task.train, mode, self.config, seed)
        fit(network, task.train, self.config.training, epochs, seed, after, new_U=task.new_U)
        return network

    def _judged(self, network: ColdStartNetwork, task: AucTask) -> Figures:
        return group_figures(task.test, predict(network, task, self.config.training.history_length), task.new_U)


def _network(data: ColdStartData, mode: Mode, config: AucConfig, seed: int) -> ColdStartNetwork:
    network = started_network(data, for_mode(config.model, mode), seed)
    with torch.no_grad():
        network.item_bias.zero_()  # negatives as popular as positives leave popularity nothing to say
    return network


def auc_table(name: str, found: dict[str, list[Figures]]) -> str:
    """Return the Markdown of one data set's ablation: means over seeds, and what new users' AUC leads the base by."""
    labels = {"none": "linear map", "single": "L_a alone", "base": "ranker alone", "full": "whole tower"}
    columns = [f"{group}.{metric}" for group in GROUPS for metric in ("auc", "gauc")]
    heads = [f"{group} users' {metric.upper()}" for group in GROUPS for metric in ("auc", "gauc")]
    lines = [f"| {name}, {NEW_SHARE:.0%} made new | {' | '.join(heads)} | new AUC over base |", "| --- " * 6 + "|"]
    for mode, figures in found.items():
        cells = [_spread([one[column] for one in figures]) for column in columns]
        cells.append("" if mode == "base" else _lead(figures, found["base"]))
        lines.append(f"| {mode}: {labels[mode]} | {' | '.join(cells)} |")
    seeds = len(next(iter(found.values())))
    told = (
        f"Means over {seeds} seeds, ± their standard deviation; leads seed by seed, ± the standard error of their mean."
    )
    return "\n".join([*lines, "", told, ""])


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.4f} ± {spread(values):.4f}"


def _lead(figures: Sequence[Figures], base: Sequence[Figures]) -> str:
    """A seed decides who is new and which pairs are the test: modes are compared within it."""
    own, other = ([one["new.auc"] for one in found] for found in (figures, base))
    return f"{np.mean(own) - np.mean(other):+.4f} ± {paired_error(own, other):.4f}"
