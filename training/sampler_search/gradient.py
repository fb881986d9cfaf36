"""Learn the weights of mixed samplers by gradient: through one step of training, or naively from the training loss.

Shape legend: M samplers, B positives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from training.sampler_search.contender import Contender
from training.sampler_search.ranking_model import RankingModel, RankingVectors
from training.sampler_search.sampled_ranking import SampledTraining, mixed_loss, pair_scores
from training.sampler_search.validation import ValidationLoss
from training.samplers.negative import CurrentVectors, Negatives, Positives

Parameters = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class GradientConfig:
    """How the weights are learned.

    Attributes:
        learning_rate: Adam's, of the logits alpha.
        temperature: t in p = softmax(alpha / t).
        every: Steps of training between two of the weights.
        warm_up_epochs: Epochs with equal weights before: what a random start prefers says little.
        validation_negatives: Uniform negatives of each held-out positive.
        sharpness: What validation scores are multiplied by: above 1 the highest-ranked negatives weigh more.
    """

    learning_rate: float = 0.1
    temperature: float = 1.0
    every: int = 2
    warm_up_epochs: int = 1
    validation_negatives: int = 64
    sharpness: float = 1.0


class GradientSearch:
    """Train one model on the mixture, and move the mixture's logits alpha by a gradient every few steps."""

    def __init__(
        self,
        training: SampledTraining,
        names: Sequence[str],
        config: GradientConfig,
        validation: ValidationLoss | None,
    ) -> None:
        """Hold the model in training.

        Args:
            training: With the samplers of `names`, in that order.
            names: M names.
            config: How to learn.
            validation: Gives the second-order gradient; None minimises the training loss instead (naive).
        """
        self.training, self._names, self.config, self.validation = training, list(names), config, validation
        self._restart(torch.zeros(len(names)))
        self.num_steps = 0

    @property
    def names(self) -> Sequence[str]:
        """The samplers still in the search."""
        return self._names

    def probabilities(self) -> Tensor:
        """Return float[M], p = softmax(alpha / t), with gradient to alpha."""
        return torch.softmax(self.alpha_M / self.config.temperature, dim=0)

    def weights(self) -> np.ndarray:
        """Return float64[M]."""
        return self.probabilities().detach().double().numpy()

    @property
    def least(self) -> int:
        """How many samplers pruning leaves."""
        return 1

    def model(self) -> RankingModel:
        """Return the one model in training."""
        return self.training.model

    def contenders(self) -> list[Contender]:
        """End the search and return the mixture of what is left, with the model and a fresh optimizer."""
        return [Contender(dict(zip(self._names, map(float, self.weights()), strict=True)), replace(self.training))]

    def drop(self, place: int) -> None:
        """Take one sampler out, with its logit and a fresh optimizer of the others'."""
        del self._names[place], self.training.samplers[place]
        self._restart(torch.cat([self.alpha_M.detach()[:place], self.alpha_M.detach()[place + 1 :]]))

    def advance(self, num_epochs: int) -> None:
        """Train for some epochs, the weights among what is learned."""
        for _ in range(num_epochs):
            for positives in self.training.batches():
                self._step(positives)

    def _restart(self, alpha_M: Tensor) -> None:
        self.alpha_M = alpha_M.requires_grad_()
        self.optimizer = torch.optim.Adam([self.alpha_M], lr=self.config.learning_rate, betas=(0.9, 0.999))

    def _step(self, positives: Positives) -> None:
        training, model = self.training, self.training.model
        current = training.current(positives)
        drawn = training.draw(positives, current)
        loss = training.loss(current, positives, drawn, self.probabilities().detach())
        training.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.num_steps % self.config.every == 0:
            if self.validation is None:
                self.alpha_M.grad = training_gradient(self.probabilities(), self.alpha_M, current, positives, drawn)
            else:
                self.alpha_M.grad = self._second_order(model, positives, drawn)
            self.optimizer.step()
        training.optimizer.step()
        self.num_steps += 1

    def _second_order(self, model: RankingModel, positives: Positives, drawn: list[Negatives]) -> Tensor:
        assert self.validation is not None
        step = virtual_step(self.training)
        held_out = self.validation.batch()
        moved = {name: (value - step[name]).requires_grad_() for name, value in _values(model).items()}
        loss = self.validation(held_out, vectors_at(model, moved, held_out.user_idx_B, None))
        slopes = torch.autograd.grad(loss, list(moved.values()), allow_unused=True)
        given = {n: v for (n, v) in zip(moved, slopes, strict=True) if v is not None}
        rates = preconditioner(self.training)
        direction = {name: rates[name] * slope for name, slope in given.items()}
        return unrolled_gradient(model, self.probabilities, self.alpha_M, positives, drawn, direction)


def training_gradient(
    weights_M: Tensor, alpha_M: Tensor, current: CurrentVectors, positives: Positives, drawn: Sequence[Negatives]
) -> Tensor:
    """Return the gradient of the instance-mixed training loss: float[M], sigma(.) p_m (s_m - s_mixed) / t on average.

    Following it downhill moves weight to the sampler with the lowest scores, the easiest.
    """
    with torch.no_grad():
        positive_B, negative_MB = pair_scores(current, positives, drawn)
    return torch.autograd.grad(mixed_loss(positive_B, negative_MB, weights_M), alpha_M)[0]


def preconditioner(training: SampledTraining) -> Parameters:
    """Return what a gradient is multiplied by in the next step, by parameter: Adam's rate over its running scale."""
    rates = {}
    for name, parameter in training.model.named_parameters():
        state = training.optimizer.state.get(parameter)
        scale = torch.ones_like(parameter)
        if state:
            correction = 1 - 0.999 ** float(state["step"])
            scale = (state["exp_avg_sq"] / correction).sqrt() + 1e-8
        rates[name] = training.config.learning_rate / scale
    return rates


def virtual_step(training: SampledTraining) -> Parameters:
    """Return the step that the gradients at hand would make, momentum apart, by parameter."""
    rates = preconditioner(training)
    return {
        name: rates[name] * (torch.zeros_like(parameter) if parameter.grad is None else parameter.grad)
        for name, parameter in training.model.named_parameters()
    }


def unrolled_gradient(
    model: RankingModel,
    probabilities: Callable[[], Tensor],
    alpha_M: Tensor,
    positives: Positives,
    drawn: Sequence[Negatives],
    direction: Parameters,
) -> Tensor:
    """Return the gradient of the validation loss after one step with respect to alpha, float[M].

    With w' = w - P grad_w L it is -(d/dw grad_alpha L) P grad_w' L_val: a directional derivative of the training
    gradient, taken as a central difference along `direction` = P grad_w' L_val on the very same draws.

    Args:
        model: At w.
        probabilities: Gives p of alpha.
        alpha_M: Logits.
        positives: The training batch.
        drawn: Its negatives.
        direction: By parameter.
    """
    length = torch.sqrt(torch.stack([part.square().sum() for part in direction.values()]).sum())
    size = 0.01 / float(length.clamp(min=1e-12))
    sides = []
    with torch.no_grad():
        values = _values(model)
        for sign in (1.0, -1.0):
            moved = {n: v + sign * size * direction[n] if n in direction else v for n, v in values.items()}
            vectors = vectors_at(model, moved, positives.user_idx_B, positives.item_idx_B)
            sides.append(CurrentVectors(*vectors))
    above, below = (training_gradient(probabilities(), alpha_M, side, positives, drawn) for side in sides)
    return -(above - below) / (2 * size)


def vectors_at(
    model: RankingModel, parameters: Parameters, user_idx_B: Tensor, hidden: Tensor | None
) -> RankingVectors:
    """Return the model's vectors under other parameters than its own."""
    vectors: RankingVectors = functional_call(model, parameters, (user_idx_B, hidden))
    return vectors


def _values(model: RankingModel) -> Parameters:
    return {name: parameter.detach() for name, parameter in model.named_parameters()}
