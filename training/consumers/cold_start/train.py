"""Train the cold-start network with two optimizers on every batch (MAIL, CIKM 2021).

A moves only the zero-shot tower, which reads detached embeddings; B moves embeddings and ranking tower. A batch is of
users: part of each one's interactions is behaviour, the rest is what is to be ranked high.

Shape legend: B users, L behaviours, T targets, N negatives, I items.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.arrays import Indices, Mask
from training.consumers.cold_start.dataset import ABSENT, ColdStartData
from training.consumers.cold_start.loss import zero_shot_loss
from training.consumers.cold_start.network import ColdStartNetwork, UserTokens
from training.consumers.cold_start.rows import behaviour_rows
from training.losses.alignment import Alignment
from training.reproducible import deterministic

Step = Callable[[int, ColdStartNetwork], bool]


@dataclass(frozen=True, kw_only=True)
class ColdStartTrainingConfig:
    """Pace and loss.

    Attributes:
        learning_rate: Of B.
        zero_shot_learning_rate: Of A.
        weight_decay: Of both, on everything but the item terms.
        batch_size: Users in a batch.
        epoch_users: Users in an epoch at most, drawn anew for each: of more than these an epoch learns no better.
        history_length: L, the newest behaviours kept.
        alignment: How the two codes of the zero-shot tower are brought together.
        fill_in_training: Fill users without behaviour while training as at inference (paper), or leave them empty
            (the authors' later code).
        pretend_new: Share of old users that a batch shows as new; live logs hold no other examples of them.
        hidden_share: Share of an old user's pairs that are targets; the others are behaviour.
        loss: For the inner-product tower "softmax" or "bernoulli", each over the whole catalogue: which item next, or
            for each item whether at all, which is what a ranking of everything is judged by. For either tower "bce" on
            drawn pairs.
        negatives: "uniform" or "popularity", for BCE.
        num_targets: T, targets drawn per user for BCE, and as many negatives.
        heavy_user_exponent: A user with n targets weighs n to this power; 0 makes users equal, 1 makes pairs equal.
    """

    learning_rate: float = 1e-3
    zero_shot_learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    batch_size: int = 256
    epoch_users: int = 16_384
    history_length: int = 100
    alignment: Alignment = "mmd_median"
    fill_in_training: bool = True
    pretend_new: float = 0.5
    hidden_share: float = 0.5
    loss: Literal["softmax", "bernoulli", "bce"] = "softmax"
    negatives: Literal["uniform", "popularity"] = "uniform"
    num_targets: int = 20
    heavy_user_exponent: float = 0.5


@dataclass(frozen=True)
class _Batch:
    tokens: UserTokens
    whole: UserTokens
    target_rows: Indices
    target_items: Indices
    users: Indices


def fit(
    network: ColdStartNetwork,
    data: ColdStartData,
    config: ColdStartTrainingConfig,
    num_epochs: int,
    seed: int,
    after_epoch: Step = lambda epoch, network: True,
    new_U: Mask | None = None,
) -> dict[str, list[float]]:
    """Train in place and return the mean loss of each optimizer per epoch.

    Args:
        network: Fresh or started.
        data: Users with pairs are learned from.
        config: Pace and loss.
        num_epochs: Passes over the users, or over `config.epoch_users` of them.
        seed: Of every draw.
        after_epoch: Called with the epoch's number and the network in eval mode; False stops.
        new_U: Users that never show behaviour, though their pairs are targets; None for nobody.
    """
    curves: dict[str, list[float]] = {"zero_shot": [], "ranking": []}
    with deterministic(seed):
        trainer = _Trainer(network, data, config, np.random.default_rng(seed), new_U)
        for epoch in range(num_epochs):
            network.train()
            losses = np.array([trainer.step(users) for users in trainer.batches()])
            for name, value in zip(curves, losses.mean(axis=0) if len(losses) else (0.0, 0.0), strict=True):
                curves[name].append(float(value))
            if not after_epoch(epoch, network.eval()):
                break
    network.eval()
    return curves


class _Trainer:
    def __init__(
        self,
        network: ColdStartNetwork,
        data: ColdStartData,
        config: ColdStartTrainingConfig,
        rng: np.random.Generator,
        new_U: Mask | None,
    ) -> None:
        self.network, self.data, self.config, self.rng = network, data, config, rng
        self.histories = data.pairs.histories()
        self.users = np.flatnonzero(data.has_history)
        self.new_U = np.zeros(data.pairs.num_users, bool) if new_U is None else new_U
        counts = data.pairs.item_counts()
        self.shares_I = counts / counts.sum() if config.negatives == "popularity" and counts.sum() else None
        self.optimizer_a = _zero_shot_optimizer(network, config)
        self.optimizer_b = _ranking_optimizer(network, config)

    def batches(self) -> list[Indices]:
        order, size = self.rng.permutation(self.users)[: self.config.epoch_users], self.config.batch_size
        return [order[start : start + size] for start in range(0, len(order), size)]

    def step(self, users: Indices) -> tuple[float, float]:
        batch = self._batch(users)
        return self._step_a(batch), self._step_b(batch)

    def _batch(self, users: Indices) -> _Batch:
        rows, place = self.histories.rows_of(users)
        items = self.histories.item_idx[rows]
        pretend = self.rng.random(len(users)) < self.config.pretend_new
        is_new = self.new_U[users] | pretend
        is_target = (self.rng.random(len(rows)) < self.config.hidden_share) | is_new[place]
        length = self.config.history_length
        shown = behaviour_rows(items[~is_target], place[~is_target], len(users), length)
        old = ~self.new_U[users][place]
        whole = behaviour_rows(items[old], place[old], len(users), length)
        return _Batch(self._tokens(users, shown), self._tokens(users, whole), place[is_target], items[is_target], users)

    def _tokens(self, users: Indices, behaviour_idx_BL: Indices) -> UserTokens:
        tables = self.data.attribute_idx_UA[users], self.data.pick_idx_UP[users], behaviour_idx_BL
        return UserTokens(*(torch.from_numpy(table) for table in tables))

    def _step_a(self, batch: _Batch) -> float:
        """Move the zero-shot tower by the old users of the batch; the tables are detached."""
        old = ~batch.whole.is_new
        tower = self.network.zero_shot
        if self.optimizer_a is None or tower is None or not bool(old.any()):
            return 0.0
        x_BF = torch.from_numpy(self.data.x_UF[batch.users])[old]
        mask_BF = torch.from_numpy(self.data.x_mask_UF[batch.users])[old]
        views = self.network.views(_take(batch.whole, old), x_BF, mask_BF)
        loss = zero_shot_loss(tower, views, self.config.alignment)
        return _move(self.optimizer_a, loss)

    def _step_b(self, batch: _Batch) -> float:
        """Move embeddings and ranking tower; what fills a new user carries no gradient."""
        if not len(batch.target_rows):
            return 0.0
        losses = {"softmax": self._softmax_loss, "bernoulli": self._bernoulli_loss, "bce": self._bce_loss}
        return _move(self.optimizer_b, losses[self.config.loss](batch))

    def _softmax_loss(self, batch: _Batch) -> Tensor:
        logits_BI = self.network.all_logits(batch.tokens, fill=self.config.fill_in_training)
        log_share_BI = functional.log_softmax(logits_BI, dim=1)
        counts = np.bincount(batch.target_rows, minlength=len(batch.users))
        weights = (counts[batch.target_rows] ** (self.config.heavy_user_exponent - 1.0)).astype(np.float32)
        chosen = log_share_BI[torch.from_numpy(batch.target_rows), torch.from_numpy(batch.target_items)]
        return -(chosen * torch.from_numpy(weights / weights.sum())).sum()

    def _bernoulli_loss(self, batch: _Batch) -> Tensor:
        """What a batch shows as behaviour is neither wanted nor unwanted."""
        logits_BI = self.network.all_logits(batch.tokens, fill=self.config.fill_in_training)
        rows, items = torch.from_numpy(batch.target_rows), torch.from_numpy(batch.target_items)
        total = functional.softplus(logits_BI).sum() - logits_BI[rows, items].sum()
        shown_BL = batch.tokens.behaviour_idx_BL
        shown = functional.softplus(logits_BI.gather(1, shown_BL.clamp(min=0))) * (shown_BL != ABSENT)
        return (total - shown.sum()) / len(items)

    def _bce_loss(self, batch: _Batch) -> Tensor:
        positives = _drawn(batch, self.config.num_targets, self.rng)
        asked = (positives != ABSENT).any(axis=1)
        negatives = self.rng.choice(self.data.pairs.num_items, size=positives.shape, p=self.shares_I)
        both = torch.from_numpy(np.hstack([positives, negatives])[asked])
        tokens = _take(batch.tokens, torch.from_numpy(asked))
        logits_BT = self.network.logits(tokens, both, fill=self.config.fill_in_training)
        labels_BT = torch.zeros_like(logits_BT)
        labels_BT[:, : positives.shape[1]] = 1.0
        return functional.binary_cross_entropy_with_logits(logits_BT, labels_BT)


def _drawn(batch: _Batch, num_targets: int, rng: np.random.Generator) -> Indices:
    """Return int64[B, T] targets drawn with replacement; a user without any has `ABSENT`."""
    counts = np.bincount(batch.target_rows, minlength=len(batch.users))
    starts = np.cumsum(counts) - counts
    at = starts[:, None] + (rng.random((len(counts), num_targets)) * counts[:, None]).astype(np.int64)
    drawn = batch.target_items[np.minimum(at, len(batch.target_items) - 1)]
    return np.where(counts[:, None] > 0, drawn, ABSENT)


def _take(users: UserTokens, rows: Tensor) -> UserTokens:
    return UserTokens(users.attribute_idx_BA[rows], users.pick_idx_BP[rows], users.behaviour_idx_BL[rows])


def _zero_shot_optimizer(network: ColdStartNetwork, config: ColdStartTrainingConfig) -> torch.optim.Optimizer | None:
    if network.zero_shot is None:
        return None
    rate = config.zero_shot_learning_rate
    return torch.optim.AdamW(network.zero_shot.parameters(), lr=rate, weight_decay=config.weight_decay, fused=True)


def _ranking_optimizer(network: ColdStartNetwork, config: ColdStartTrainingConfig) -> torch.optim.Optimizer:
    *tables, bias = network.embedding_parameters()
    decayed = {"params": [*tables, *network.ranker.parameters()], "weight_decay": config.weight_decay}
    groups = [decayed, {"params": [bias], "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def _move(optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach())
