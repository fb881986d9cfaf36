"""Fit how the parts of a score are weighed, by the likelihood of what was chosen among all candidates.

A conditional logit (McFadden 1974): P(c | k) is proportional to exp(w_0 s_kc + sum_f w_f x_cf) over the candidates
that key k has not seen. It is concave in the weights, so a few Newton steps reach the one maximum, and it reads every
candidate where a ranking metric reads the first few alone, so it says far more on a small validation set.

Shape legend: K keys, C candidates, F features, P = F + 1 weights, that of the score first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from training.arrays import Doubles
from training.ranking.cut import Side

Objective = Callable[[Tensor], tuple[float, Tensor, Tensor]]
"""Gives value, gradient and Hessian at some weights."""
PRIOR_STRENGTH = 0.3
"""Pull of each weight to its prior, in keys: it decides where few keys say little."""
LEAST_SCORE_WEIGHT = 0.05
"""The score keeps at least this weight: without it a consumer would hand out popularity alone."""
SEEN = -1e4
"""Stands for a seen candidate's score: no chance at any weight allowed, yet finite, so that its share of a sum is 0."""
CACHED_SCORES = 262_144
MAX_STEPS = 12
MAX_HALVINGS = 6
TOLERANCE = 1e-5


class ChoiceLikelihood:
    """The log-likelihood of one side's choices; each key counts once, however much it chose."""

    def __init__(self, side: Side, features_CF: Doubles) -> None:
        """Hold what does not depend on the weights.

        Args:
            side: Scores float[K, C], minus infinity where seen, and what was chosen; at least one key.
            features_CF: float64[C, F].
        """
        self.scores_KC = side.scores_KC.clamp(min=SEEN)
        # Centred: what all candidates share changes no choice but would swamp single precision.
        self.features_CF = torch.from_numpy((features_CF - features_CF.mean(axis=0)).astype(np.float32))
        self.num_keys = len(side.keys)
        self.chosen_P = self._chosen(side)

    def __call__(self, weights_P: Tensor) -> tuple[float, Tensor, Tensor]:
        """Return the mean negative log-likelihood of a key, its gradient float[P] and its Hessian float[P, P]."""
        terms_C, features = self.features_CF @ weights_P[1:], self.features_CF
        chance_C, weighted_C = torch.zeros_like(terms_C), torch.zeros_like(terms_C)
        means, normalisers, squares = [], 0.0, 0.0
        # In rows that a processor's cache holds: the passes over them are what a step costs.
        num_rows = max(CACHED_SCORES // len(terms_C), 1)
        for first in range(0, self.num_keys, num_rows):
            scores = self.scores_KC[first : first + num_rows]
            chance = torch.add(terms_C, scores, alpha=float(weights_P[0]))
            normaliser = chance.logsumexp(dim=1, keepdim=True)
            chance.sub_(normaliser).exp_()
            weighted = chance * scores
            means.append(torch.cat([weighted.sum(1, keepdim=True), chance @ features], dim=1))
            normalisers += float(normaliser.sum())
            squares += float(torch.dot(weighted.view(-1), scores.reshape(-1)))
            chance_C += chance.sum(0)
            weighted_C += weighted.sum(0)
        means_KP = torch.cat(means)
        second_PP = torch.zeros(len(weights_P), len(weights_P))
        second_PP[1:, 1:] = features.T @ (chance_C[:, None] * features)
        second_PP[0, 1:] = second_PP[1:, 0] = features.T @ weighted_C
        second_PP[0, 0] = squares
        hessian_PP = (second_PP - means_KP.T @ means_KP) / self.num_keys
        value = normalisers / self.num_keys - float(weights_P @ self.chosen_P)
        return value, means_KP.mean(0) - self.chosen_P, hessian_PP

    def _chosen(self, side: Side) -> Tensor:
        """Return float[P]: the mean over keys of the mean score and features of what each chose."""
        chosen = side.truth[side.keys].tocoo()
        share = torch.from_numpy((1.0 / np.bincount(chosen.row)[chosen.row] / self.num_keys).astype(np.float32))
        rows, columns = (torch.from_numpy(index).long() for index in (chosen.row, chosen.col))
        return torch.cat([(share @ self.scores_KC[rows, columns])[None], share @ self.features_CF[columns]])


def fit_weights(likelihoods: Sequence[ChoiceLikelihood], prior_P: Doubles) -> Doubles:
    """Return the weights of greatest likelihood, float64[P], averaged over the sides, drawn slightly to a prior.

    Args:
        likelihoods: At least one, all with the same features.
        prior_P: float64[P], where the weights stay that nothing speaks about.
    """
    prior = torch.from_numpy(prior_P.astype(np.float32))
    pull = PRIOR_STRENGTH / float(np.mean([one.num_keys for one in likelihoods]))

    def objective(weights: Tensor) -> tuple[float, Tensor, Tensor]:
        values, gradients, hessians = zip(*(one(weights) for one in likelihoods), strict=True)
        away = weights - prior
        value = sum(values) / len(values) + pull * float(away @ away)
        gradient = torch.stack(gradients).mean(0) + 2 * pull * away
        return value, gradient, torch.stack(hessians).mean(0) + 2 * pull * torch.eye(len(prior))

    with _one_thread():
        return _climb(objective, prior)


def _climb(objective: Objective, start: Tensor) -> Doubles:
    weights, state = start, objective(start)
    for _ in range(MAX_STEPS):
        before = state[0]
        step = torch.linalg.solve(state[2].double(), state[1].double()).float()
        for halving in range(MAX_HALVINGS):
            trial = weights - step / 2**halving
            trial[0] = trial[0].clamp(min=LEAST_SCORE_WEIGHT)
            tried = objective(trial)
            if tried[0] <= before:
                weights, state = trial, tried
                break
        if before - state[0] < TOLERANCE:
            break
    return weights.numpy().astype(np.float64)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Passes over a cache's worth are so short that threads wait for each other wherever a core has other work."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)
