"""Train the two towers on blocks of users: hide some of their items, pool the rest, find the hidden ones.

Each block is scored against the whole catalogue where that is small, so nothing is sampled and nothing needs a
correction; a larger catalogue is scored on the block's targets and drawn candidates, corrected by their probability.
The other objectives are in `pairs` (batches of pairs scored against themselves) and `next_item` (every
position of a history predicts the next item).

Shape legend: U users, I items, B users of a block, C candidates, T targets, D width.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from training.consumers.matching.next_item import NextItemBatches, next_item_loss
from training.consumers.matching.pairs import PairBatches, pair_loss
from training.contracts.errors import AttuneError
from training.data.pair_log import PairLog
from training.losses.block import block_cross_entropy
from training.losses.family import PAIR_LOSSES
from training.ranking.blocks import Block, BlockConfig, Blocks, block_targets
from training.ranking.cut import TASKS
from training.ranking.history_rows import encode_rows
from training.ranking.two_tower import TwoTower, TwoTowerConfig

logger = logging.getLogger(__name__)


Objective = Literal["catalogue", "pairs", "next_item"]
OBJECTIVES: tuple[Objective, ...] = ("catalogue", "pairs", "next_item")
WARM_UP_STEPS = 100
LEAST_RATE = 0.02
"""Share of the learning rate that a cosine schedule ends on."""
CONTINUED_RATE = 0.1
"""Share of the learning rate of a cosine schedule that trained towers go on at: at .25 they lose what they had."""


@dataclass(frozen=True, kw_only=True)
class MatchingTrainingConfig:
    """How the towers learn.

    Attributes:
        tower: Sizes and history encoder.
        learning_rate: Adam's.
        block_users: Users scored together.
        hidden_share: Share of a user's items hidden as targets, in (0, 1).
        half_life_share: Age, as a share of the log's rows, at which a target counts half.
        max_candidates: Catalogue size above which candidates are drawn, for "next_item" so many of them.
        alpha: Weight of the row (recommendation) side.
        beta: Weight of the column (targeting) side.
        objective: "catalogue" scores blocks of users against the catalogue; "pairs" scores batches of positive pairs
            against themselves; "next_item" scores every position of a history against the catalogue, recommendation
            alone. For the last two only `tower` and `learning_rate` count of the fields above, and `max_candidates`
            for the last.
        pairs_loss: Name in `training.losses.family.PAIR_LOSSES`, for "pairs".
        batch_pairs: Positive pairs scored together, for "pairs".
        batch_users: Histories read together, for "next_item".
        schedule: "constant", or "cosine": the learning rate warms up and falls to nothing over the epochs.
    """

    tower: TwoTowerConfig = field(default_factory=TwoTowerConfig)
    learning_rate: float = 1e-3
    block_users: int = 1024
    hidden_share: float = 0.3
    half_life_share: float = 0.3
    max_candidates: int = 16_384
    alpha: float = 1.0
    beta: float = 1.0
    objective: Objective = "catalogue"
    pairs_loss: str = "bbcnce"
    batch_pairs: int = 1024
    batch_users: int = 64
    schedule: Literal["constant", "cosine"] = "constant"

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            known = ", ".join(OBJECTIVES)
            raise AttuneError(f"expected matching's objective among {known}, found {self.objective!r}; name one")
        if self.is_ordered and self.tower.history.encoder == "mean":
            raise AttuneError("expected an encoder that reads in order for next_item, found mean; name another")
        if self.pairs_loss not in PAIR_LOSSES:
            known = ", ".join(sorted(PAIR_LOSSES))
            raise AttuneError(f"expected a pairs_loss of matching among {known}, found {self.pairs_loss!r}; name one")
        if self.batch_pairs < 2:
            raise AttuneError(f"expected batch_pairs of matching of at least 2, found {self.batch_pairs}; raise it")

    @property
    def is_ordered(self) -> bool:
        """Whether the objective learns from the order of events."""
        return self.objective == "next_item"

    def continued(self) -> MatchingTrainingConfig:
        """Return how towers go on that have learned by it."""
        is_falling = self.schedule == "cosine"
        return replace(self, learning_rate=self.learning_rate * (CONTINUED_RATE if is_falling else 1.0))

    def dealing(self) -> BlockConfig:
        """Return how users are dealt into blocks."""
        return BlockConfig(
            block_users=self.block_users,
            hidden_share=self.hidden_share,
            half_life_share=self.half_life_share,
            max_candidates=self.max_candidates,
        )

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that the objective learns: "recommendation", "targeting" or both."""
        if self.is_ordered:
            return TASKS[:1]
        switches = PAIR_LOSSES[self.pairs_loss].switches if self.objective == "pairs" else self
        row, column = (switches.alpha, switches.beta) if switches is not None else (1.0, 1.0)
        return tuple(task for task, weight in zip(TASKS, (row, column), strict=True) if weight)


EpochHook = Callable[[int, TwoTower], bool]
"""Called after each epoch with its number (from 1) and the model; returns whether to go on."""

EpochLosses = Callable[[TwoTower, np.random.Generator], Iterator[Tensor]]
"""The losses of one epoch, each computed when asked for, so that it sees the step before."""


def fit(
    model: TwoTower,
    pairs: PairLog,
    config: MatchingTrainingConfig,
    num_epochs: int,
    seed: int,
    after_epoch: EpochHook,
    since: int | None = None,
) -> None:
    """Train `model` in place on distinct pairs; equal arguments give equal weights.

    Args:
        model: Started towers.
        pairs: Distinct pairs in time order (`PairLog.distinct`).
        config: How to learn.
        num_epochs: Passes over the users, or over the pairs, at most.
        seed: Seed of order, hidden shares and dropout.
        after_epoch: Stops the training by returning False.
        since: Epoch seconds; when given, the targets are the rows that arrived from then on, late ones among them,
            shown what was known before, or with "pairs" everything besides.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
    epoch_losses = _objective(pairs, config, since)
    for epoch in range(1, num_epochs + 1):
        model.train()
        losses: list[float] = []
        for loss in epoch_losses(model, rng):
            _set_rate(optimizer, config, len(losses), epoch, num_epochs)
            losses.append(_step(optimizer, loss))
        model.eval()
        logger.info("matching epoch %d of %d: loss %.4f", epoch, num_epochs, float(np.mean(losses)) if losses else 0.0)
        if not after_epoch(epoch, model):
            break


def _set_rate(
    optimizer: torch.optim.Optimizer, config: MatchingTrainingConfig, step: int, epoch: int, num_epochs: int
) -> None:
    """Set the cosine schedule's rate, which falls once an epoch: epochs need not be of equal length."""
    if config.schedule == "constant":
        return
    falling = LEAST_RATE + (1 - LEAST_RATE) * 0.5 * (1 + math.cos(math.pi * (epoch - 1) / num_epochs))
    warming = min((step + 1) / WARM_UP_STEPS, 1.0) if epoch == 1 else 1.0
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * falling * warming


def _objective(pairs: PairLog, config: MatchingTrainingConfig, since: int | None) -> EpochLosses:
    if config.objective == "pairs":
        loss = PAIR_LOSSES[config.pairs_loss]
        batches = PairBatches(pairs, config.batch_pairs, since, loss, config.tower.history.max_length)
        return lambda model, rng: (pair_loss(model, batch, loss) for batch in batches.epoch(rng))
    if config.is_ordered:
        length = config.tower.history.max_length
        windows = NextItemBatches(pairs, config.batch_users, length, config.max_candidates, since)
        return lambda model, rng: (next_item_loss(model, batch) for batch in windows.epoch(rng) if len(batch.target_P))
    blocks = Blocks(pairs, config.dealing(), since)
    return lambda model, rng: (
        block_loss(model, block, config) for block in blocks.epoch(rng) if len(block.target_item_idx)
    )


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach())


def block_loss(model: TwoTower, block: Block, config: MatchingTrainingConfig) -> Tensor:
    """Return the two-sided cross-entropy of one block."""
    users = encode_rows(model, block.shown_item_idx, block.shown_place, block.size)
    num_shown = torch.from_numpy(np.bincount(block.shown_place, minlength=block.size)).float()
    candidates = None if block.candidates is None else torch.from_numpy(block.candidates)
    bias = model.item_bias if candidates is None else model.item_bias[candidates]
    if block.log_inclusion is not None:
        bias = bias - torch.from_numpy(block.log_inclusion)
    num_terms = model.user_bias(num_shown)
    arguments = (model.scale * users, model.items(candidates), bias, num_terms, block_targets(block))
    return block_cross_entropy(*arguments, config.alpha, config.beta)
