"""Weigh samplers as arms of a bandit whose reward is the gain in validation NDCG.

Shape legend: M samplers.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from training.engine.sampled_ranking import Judge, SampledTraining
from training.models.ranking import RankingModel


@dataclass(frozen=True, kw_only=True)
class BanditConfig:
    """How rewards become weights.

    Attributes:
        temperature: t in p = softmax(gain / t), in units of the largest gain.
        average: Share of the newest reward in an arm's value; validation is noisy.
    """

    temperature: float = 0.2
    average: float = 0.6


class BanditSearch:
    """Best-arm search by elimination: every arm plays each round, from its own parameters, and the worst is dropped.

    All arms branch off one warm-up. Each keeps what it has learned, so that a survivor is judged over an ever longer
    horizon, and the last one's parameters are where the retraining starts.
    """

    def __init__(self, start: SampledTraining, names: Sequence[str], judge: Judge, config: BanditConfig) -> None:
        """Give each sampler of `start`, named by `names`, a copy of its model and optimiser."""
        self._names, self.judge, self.config = list(names), judge, config
        self.arms = [_branch(start, place) for place in range(len(names))]
        self.floor = judge(start.model)
        self.gain_M = np.zeros(len(names))
        self.is_played = False

    @property
    def names(self) -> Sequence[str]:
        """The samplers still in the search."""
        return self._names

    def advance(self, num_epochs: int) -> None:
        """Let every arm train for some epochs, and note what it has gained since the start."""
        alone = torch.ones(1)
        for arm in self.arms:
            for _ in range(num_epochs):
                arm.epoch(alone)
        newest = np.array([self.judge(arm.model) - self.floor for arm in self.arms])
        share = self.config.average if self.is_played else 1.0
        self.gain_M = self.gain_M + share * (newest - self.gain_M)
        self.is_played = True

    def weights(self) -> np.ndarray:
        """Return float64[M]: the softmax of gains over the temperature."""
        unit = self.config.temperature * max(float(np.abs(self.gain_M).max()), 1e-9)
        raised = np.exp((self.gain_M - self.gain_M.max()) / unit)
        return np.asarray(raised / raised.sum())

    def drop(self, place: int) -> None:
        """Take one arm out with its model."""
        del self._names[place], self.arms[place]
        self.gain_M = np.delete(self.gain_M, place)

    def model(self) -> RankingModel:
        """Return the model of the best arm."""
        return self.arms[int(self.gain_M.argmax())].model


def _branch(start: SampledTraining, place: int) -> SampledTraining:
    model = copy.deepcopy(start.model)
    sampler = copy.deepcopy(start.samplers[place])
    arm = replace(start, model=model, samplers=[sampler])
    arm.optimizer.load_state_dict(start.optimizer.state_dict())
    return arm
