"""Train a ranking model on positives against drawn negatives, of one sampler or of a weighted mixture of several.

Mixing instances (arXiv 2311.03526): the negative is e~ = sum_m p_m e_{j_m} and the loss softplus(u.e~ - u.e+). Mixing
losses, the baseline, is sum_m p_m softplus(u.e_{j_m} - u.e+); by convexity the former is never larger, and both agree
where one sampler has all the weight.

Shape legend: B positives, M samplers, N = 1 negative of each, U users, I items, D width.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.data.pair_log import PairLog
from training.sampler_search.ranking_model import RankingModel
from training.samplers.negative import CurrentVectors, Negatives, NegativeSampler, Positives

logger = logging.getLogger(__name__)
Mixing = Literal["instance", "loss"]


@dataclass(frozen=True, kw_only=True)
class SampledRankingConfig:
    """How a ranking model learns from sampled negatives.

    Attributes:
        batch_pairs: B.
        learning_rate: Adam's.
        l2: Weight of the squared length of the vectors that are scored.
        mixing: "instance" scores one mixed negative, "loss" mixes the samplers' losses.
        max_epochs: Passes over the pairs at most.
        evaluate_every: Epochs between two validations.
        patience: Validations without a better one before stopping.
    """

    batch_pairs: int = 2048
    learning_rate: float = 5e-3
    l2: float = 1e-3
    mixing: Mixing = "instance"
    max_epochs: int = 60
    evaluate_every: int = 2
    patience: int = 4


def pair_scores(current: CurrentVectors, positives: Positives, negatives: Sequence[Negatives]) -> tuple[Tensor, Tensor]:
    """Return the scores float[B] of the positives and float[M, B] of each sampler's negatives."""
    positive_B = (current.users_BD * current.items_ID[positives.item_idx_B]).sum(1)
    return positive_B, torch.stack([current.scores(drawn.embed(current))[:, 0] for drawn in negatives])


def mixed_loss(positive_B: Tensor, negative_MB: Tensor, weights_M: Tensor, mixing: Mixing = "instance") -> Tensor:
    """Return the mean softplus loss of a mixture; scores being linear, a mixed vector's score is the mixed score.

    Args:
        positive_B: float[B].
        negative_MB: float[M, B].
        weights_M: float[M], not negative, summing to 1.
        mixing: Of instances or of losses.
    """
    if mixing == "instance":
        return F.softplus(weights_M @ negative_MB - positive_B).mean()
    return (weights_M @ F.softplus(negative_MB - positive_B)).mean()


ValidationScore = Callable[[RankingModel], float]
"""What a model is worth on held-out pairs; higher is better."""


@dataclass
class SampledTraining:
    """One model in training with its optimizer, its samplers' state and its own source of draws.

    Attributes:
        model: Trained in place.
        pairs: Distinct training pairs.
        samplers: M samplers, one weight each wherever weights are asked for.
        config: How to learn.
        seed: Of order and draws.
    """

    model: RankingModel
    pairs: PairLog
    samplers: list[NegativeSampler]
    config: SampledRankingConfig
    seed: int
    generator: torch.Generator = field(init=False)
    optimizer: torch.optim.Adam = field(init=False)

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=self.config.learning_rate, fused=True)

    def batches(self) -> Iterator[Positives]:
        """Yield every pair once, in an order drawn anew."""
        order = torch.randperm(len(self.pairs), generator=self.generator)
        user_idx, item_idx = torch.from_numpy(self.pairs.user_idx), torch.from_numpy(self.pairs.item_idx)
        for rows in order.tensor_split(max(1, -(-len(order) // self.config.batch_pairs))):
            yield Positives(user_idx[rows], item_idx[rows])

    def current(self, positives: Positives) -> CurrentVectors:
        """Return the model's vectors for a batch, with gradient."""
        return CurrentVectors(*self.model(positives.user_idx_B, positives.item_idx_B))

    def draw(self, positives: Positives, current: CurrentVectors) -> list[Negatives]:
        """Return one negative of each sampler for each positive."""
        return [sampler.draw(positives, current, 1, self.generator) for sampler in self.samplers]

    def loss(self, current: CurrentVectors, positives: Positives, drawn: list[Negatives], weights_M: Tensor) -> Tensor:
        """Return the batch's mixed loss with its penalty."""
        positive_B, negative_MB = pair_scores(current, positives, drawn)
        loss = mixed_loss(positive_B, negative_MB, weights_M, self.config.mixing)
        scored = (current.users_BD, current.items_ID[positives.item_idx_B])
        return loss + self.config.l2 * torch.stack([side.square().sum(1).mean() for side in scored]).sum()

    def step(self, positives: Positives, weights_M: Tensor) -> float:
        """Take one step on a batch and return its loss."""
        current = self.current(positives)
        drawn = self.draw(positives, current)
        loss = self.loss(current, positives, drawn, weights_M)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return float(loss.detach())

    def epoch(self, weights_M: Tensor) -> float:
        """Pass once over the pairs and return the mean loss."""
        return float(np.mean([self.step(positives, weights_M) for positives in self.batches()]))


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """The best model by validation.

    Attributes:
        value: Its validation.
        num_epochs: Epochs until it, 0 being the start.
        curve: Every validation, the start's first.
    """

    value: float
    num_epochs: int
    curve: tuple[float, ...]


def fit_sampled(training: SampledTraining, weights_M: Tensor, judge: ValidationScore) -> Fitted:
    """Train until the validation stops rising, and leave the model with the weights of its best validation."""
    config, model = training.config, training.model
    curve = [judge(model)]
    best, best_at = copy.deepcopy(model.state_dict()), 0
    for epoch in range(1, config.max_epochs + 1):
        loss = training.epoch(weights_M)
        if epoch % config.evaluate_every:
            continue
        curve.append(judge(model))
        logger.debug("epoch %d: loss %.4f, validation %.4f", epoch, loss, curve[-1])
        if curve[-1] > max(curve[:-1]):
            best, best_at = copy.deepcopy(model.state_dict()), len(curve) - 1
        elif len(curve) - 1 - best_at >= config.patience:
            break
    model.load_state_dict(best)
    return Fitted(value=curve[best_at], num_epochs=best_at * config.evaluate_every, curve=tuple(curve))
