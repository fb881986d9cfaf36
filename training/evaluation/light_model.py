"""Fit the light consumer of the probes: a logistic model on the outer product of a user and an item vector.

Shape legend: U users, I items, P pairs, R representation columns, B users of a chunk, V item vector columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from training.arrays import Floats, Indices

PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4)
"""Strongest first: each fit begins where the one before ended, a short way off."""
MAX_ITERATIONS = 60
NUM_SPLITS = 3


@dataclass(frozen=True)
class LightModel:
    """Logit = r̃ᵀ W v + aᵀ v + c, with r̃ the centred representation at unit mean square.

    Attributes:
        weight_RV: W.
        item_V: a, what items are worth to everyone.
        offset: c.
        centre_R: Mean of the training users.
        scale: Root mean square of the centred training users.
        penalty: L2 penalty that was chosen.
    """

    weight_RV: torch.Tensor
    item_V: torch.Tensor
    offset: torch.Tensor
    centre_R: torch.Tensor
    scale: float
    penalty: float

    def score(
        self, user_idx: Indices, item_idx: Indices, users_UR: Floats, items_IV: Floats
    ) -> npt.NDArray[np.float64]:
        """Return the logits of pairs, float64 [P]."""
        rows, user_idx = np.unique(user_idx, return_inverse=True)
        users = (torch.from_numpy(users_UR[rows]) - self.centre_R) / self.scale
        with torch.no_grad():
            logits = _logits(
                (self.weight_RV, self.item_V, self.offset), users, torch.from_numpy(items_IV), user_idx, item_idx
            )
        return logits.numpy().astype(np.float64)

    def item_scores(self, users_BR: Floats, items_IV: Floats) -> Floats:
        """Return the logits of every item for each of B users, float32 [B, I]."""
        users = (torch.from_numpy(users_BR) - self.centre_R) / self.scale
        queries_BV = users @ self.weight_RV + self.item_V
        scores: Floats = (queries_BV @ torch.from_numpy(items_IV).T + self.offset).numpy()
        return scores


def fit_light_model(
    user_idx: Indices,
    item_idx: Indices,
    label: Floats,
    users_UR: Floats,
    items_IV: Floats,
    seed: int,
    penalties: Sequence[float] = PENALTIES,
) -> LightModel:
    """Return the model of all pairs whose penalty does best on users left out in turn, `NUM_SPLITS` parts of them.

    Only users of the pairs are read, and multiplied: a task is of some thousands, however many users there are.
    One part alone would not do: with few users the penalty, and by it the AUC, would hang on who is in it. Of
    `penalties`, strongest first, a single one is taken as it is.
    """
    if len(penalties) == 1:
        return _fit(user_idx, item_idx, label, users_UR, items_IV, penalties[0], None)
    present, position = np.unique(user_idx, return_inverse=True)
    part_P = (np.random.default_rng(seed).permutation(len(present)) % NUM_SPLITS)[position]
    losses = np.zeros(len(penalties))
    for part in range(NUM_SPLITS):
        held_out = part_P == part
        inner = (user_idx[~held_out], item_idx[~held_out], label[~held_out], users_UR, items_IV)
        labels = torch.from_numpy(label[held_out]).double()
        model = None
        for place, penalty in enumerate(penalties):
            model = _fit(*inner, penalty, model)
            logits = torch.from_numpy(model.score(user_idx[held_out], item_idx[held_out], users_UR, items_IV))
            losses[place] += float(functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum"))
    return _fit(user_idx, item_idx, label, users_UR, items_IV, penalties[int(losses.argmin())], None)


def _fit(
    user_idx: Indices,
    item_idx: Indices,
    label: Floats,
    users_UR: Floats,
    items_IV: Floats,
    penalty: float,
    start: LightModel | None,
) -> LightModel:
    rows, user_idx = np.unique(user_idx, return_inverse=True)
    users, centre, scale = _standardise(torch.from_numpy(users_UR[rows]))
    items, labels = torch.from_numpy(items_IV), torch.from_numpy(label)
    first = (
        (start.weight_RV, start.item_V, start.offset)
        if start
        else (torch.zeros(users.shape[1], items.shape[1]), torch.zeros(items.shape[1]), torch.zeros(()))
    )
    weights = tuple(value.clone().requires_grad_() for value in first)
    optimizer = torch.optim.LBFGS(weights, max_iter=MAX_ITERATIONS, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        logits = _logits(weights, users, items, user_idx, item_idx)
        value = functional.binary_cross_entropy_with_logits(logits, labels)
        value = value + penalty * (weights[0].square().sum() + weights[1].square().sum())
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    weight, item, offset = (value.detach() for value in weights)
    return LightModel(weight, item, offset, centre, scale, penalty)


def _standardise(users_UR: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return users centred and scaled by one scale, so that directions keep their weight, with centre and scale."""
    centre = users_UR.mean(dim=0)
    centred = users_UR - centre
    scale = float(centred.square().sum(dim=1).mean().sqrt().clamp(min=1e-6))
    return centred / scale, centre, scale


def _logits(
    weights: tuple[torch.Tensor, ...],
    users_UR: torch.Tensor,
    items_IV: torch.Tensor,
    user_idx: Indices,
    item_idx: Indices,
) -> torch.Tensor:
    weight_RV, item_V, offset = weights
    queries_UV = users_UR @ weight_RV + item_V
    pairs = queries_UV[torch.from_numpy(user_idx)] * items_IV[torch.from_numpy(item_idx)]
    return pairs.sum(dim=1) + offset
