"""Weigh samplers as arms of a bandit whose reward is the gain in validation NDCG.

Shape legend: M samplers.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from training.sampler_search.contender import Contender
from training.sampler_search.ranking_model import RankingModel
from training.sampler_search.sampled_ranking import SampledTraining, ValidationScore


@dataclass(frozen=True, kw_only=True)
class BanditConfig:
    """How rewards become weights.

    Attributes:
        temperature: t in p = softmax(gain / t), in units of the largest gain.
        finalists: Arms that pruning leaves; each is played to its end. The last two are often told apart by their ends
            alone: what rises faster does not always rise higher.
    """

    temperature: float = 0.2
    finalists: int = 2


@dataclass
class Arm:
    """One sampler's own training, and the best that it has been.

    Attributes:
        training: Its model, optimizer and sampler.
        floor: Validation at the start.
        gain: What the best validation since is above it; negative until the first is known to be no worse.
        best: The parameters of that validation.
    """

    training: SampledTraining
    floor: float
    gain: float = -np.inf
    best: dict[str, Any] = field(default_factory=dict)

    def play(self, judge: ValidationScore) -> None:
        """Train for one epoch, and keep the parameters where that was worth it."""
        self.training.epoch(torch.ones(1))
        gain = judge(self.training.model) - self.floor
        if gain > self.gain:
            self.gain, self.best = gain, copy.deepcopy(self.training.model.state_dict())

    def best_model(self) -> RankingModel:
        """Return a copy of the model with the parameters that it was best with."""
        model = copy.deepcopy(self.training.model)
        if self.best:
            model.load_state_dict(self.best)
        return model

    def restored(self) -> SampledTraining:
        """Return the training itself, its model put back to the parameters that it was best with."""
        if self.best:
            self.training.model.load_state_dict(self.best)
        return self.training


class BanditSearch:
    """Best-arm search by elimination: every arm plays each round, from its own parameters, and the worst is dropped.

    All arms branch off one start. Each keeps what it has learned, so that a survivor is judged over an ever longer
    horizon, and goes on at the end as if it had been trained alone.
    """

    def __init__(
        self, start: SampledTraining, names: Sequence[str], judge: ValidationScore, config: BanditConfig
    ) -> None:
        """Give each sampler of `start`, named by `names`, a copy of its model and optimizer."""
        self._names, self.judge, self.config = list(names), judge, config
        floor = judge(start.model)
        self.arms = [Arm(_branch(start, place), floor) for place in range(len(names))]

    @property
    def names(self) -> Sequence[str]:
        """The samplers still in the search."""
        return self._names

    @property
    def least(self) -> int:
        """How many samplers pruning leaves."""
        return self.config.finalists

    def advance(self, num_epochs: int) -> None:
        """Let every arm train for some epochs."""
        for arm in self.arms:
            for _ in range(num_epochs):
                arm.play(self.judge)

    def weights(self) -> np.ndarray:
        """Return float64[M]: the softmax of gains over the temperature; equal before the first epoch."""
        gain_M = np.array([arm.gain for arm in self.arms])
        if not np.isfinite(gain_M).all():
            return np.full(len(self.arms), 1 / len(self.arms))
        unit = self.config.temperature * max(float(np.abs(gain_M).max()), 1e-9)
        raised = np.exp((gain_M - gain_M.max()) / unit)
        return np.asarray(raised / raised.sum())

    def drop(self, place: int) -> None:
        """Take one arm out with its model."""
        del self._names[place], self.arms[place]

    def model(self) -> RankingModel:
        """Return a model with the best parameters of the best arm."""
        return max(self.arms, key=lambda arm: arm.gain).best_model()

    def contenders(self) -> list[Contender]:
        """End the search and return the finalists, the best first: at their best parameters, with their own optimizers.

        A fresh optimizer, which AutoSample starts a retraining with, kicks parameters that are nearly in place: with it
        two-towers end 2 to 5 % lower.
        """
        order = sorted(range(len(self.arms)), key=lambda place: -self.arms[place].gain)
        return [Contender({self._names[place]: 1.0}, self.arms[place].restored()) for place in order[: self.least]]


def _branch(start: SampledTraining, place: int) -> SampledTraining:
    model = copy.deepcopy(start.model)
    sampler = copy.deepcopy(start.samplers[place])
    arm = replace(start, model=model, samplers=[sampler])
    arm.optimizer.load_state_dict(start.optimizer.state_dict())
    return arm
