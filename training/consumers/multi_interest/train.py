"""Train the K towers on blocks of users: hide some of their items, pool the rest, find the hidden ones.

Every epoch logs each tower's share of wins and the mean cosine between a user's vectors: the maximum is
winner-take-all, so towers can die, and a soft maximum that is annealed to the hard one lets them all start.

Shape legend: U users, B users of a block, K interests, C candidates, T targets, D width.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from training.consumers.multi_interest.candidates import UNIFORM, Mixture, item_shares, with_candidates
from training.consumers.multi_interest.network import MultiInterest, MultiInterestConfig, shown_items
from training.contracts.errors import AttuneError
from training.data.pair_log import PairLog
from training.losses.block import BlockTargets
from training.losses.interest_block import InterestLoss, interest_cross_entropy
from training.losses.interests import (
    READ_OUTS,
    ReadOut,
    balance,
    best_of_interests,
    hinge_losses,
    target_losses,
    user_side_losses,
    win_counts,
)
from training.losses.repel import REPEL_FORMS, RepelForm, pairwise_cosines, repel
from training.ranking.blocks import Block, BlockConfig, Blocks, block_targets

logger = logging.getLogger(__name__)
Loss = Literal["softmax", "hinge"]
LOSSES: tuple[Loss, ...] = ("softmax", "hinge")
MASKED = -1e9
"""Logit of an item that was shown: out of play."""


@dataclass(frozen=True, kw_only=True)
class MultiInterestTrainingConfig:
    """How the towers learn.

    Attributes:
        towers: Sizes and variant of the model.
        read_out: "max" scores every item by its best interest; "positive" all by the interest of the target (ComiRec).
        loss: Softmax over candidates with logQ correction, or hinge against drawn negatives.
        margin: Of the hinge, in logits.
        num_negatives: Negatives that a block draws for the hinge.
        user_side: Weight of the softmax over the block's users, for targeting.
        repel_form: Which repulsion.
        repel_weight: lambda, its weight; 0 trains without.
        repel_delta: Cosine from which the cosine form pushes.
        repel_t: Sharpness of the gaussian form.
        balance_weight: Weight of the balance of wins between towers, without which some may die.
        softness: Of the maximum at the start, in logits.
        warmup_epochs: Epochs over which the softness goes down to 0.
        learning_rate: Adam's.
        block_users: Users scored together.
        hidden_share: Share of a user's items hidden as targets, in (0, 1).
        half_life_share: Age, as a share of the log's rows, at which a target counts half.
        max_candidates: Catalogue size above which candidates are drawn and corrected by their log probability.
        num_drawn: Candidates that are then drawn for a block of users, beside its targets.
        drawn_by: Popularity powers and their weights that candidates are drawn by.
        epoch_users: Most users of an epoch; an epoch of a larger log goes on where the one before it stopped, so that
            everyone has a turn before anyone has the next.
    """

    towers: MultiInterestConfig = field(default_factory=MultiInterestConfig)
    read_out: ReadOut = "max"
    loss: Loss = "softmax"
    margin: float = 2.0
    num_negatives: int = 256
    user_side: float = 0.5
    repel_form: RepelForm = "cosine"
    repel_weight: float = 0.1
    repel_delta: float = 0.5
    repel_t: float = 2.0
    balance_weight: float = 0.5
    softness: float = 0.3
    warmup_epochs: float = 2.0
    learning_rate: float = 1e-3
    block_users: int = 256
    hidden_share: float = 0.3
    half_life_share: float = 0.3
    max_candidates: int = 4096
    num_drawn: int = 1024
    drawn_by: Mixture = UNIFORM
    epoch_users: int = 8192

    def __post_init__(self) -> None:
        choices = (("loss", self.loss, LOSSES), ("read_out", self.read_out, READ_OUTS))
        for name, found, known in (*choices, ("repel_form", self.repel_form, REPEL_FORMS)):
            if found not in known:
                raise AttuneError(f"expected {name} among {', '.join(known)}, found {found!r}; name one")

    def dealing(self) -> BlockConfig:
        """Return how users are dealt into blocks, over the whole catalogue."""
        return BlockConfig(
            block_users=self.block_users,
            hidden_share=self.hidden_share,
            half_life_share=self.half_life_share,
        )


@dataclass
class EpochFigures:
    """What one epoch showed: mean loss, wins of each tower over targets, mean pairwise cosine."""

    losses: list[float] = field(default_factory=list)
    cosines: list[float] = field(default_factory=list)
    wins_K: Tensor | None = None

    def add(self, loss: Tensor, users_BKD: Tensor, wins_K: Tensor) -> None:
        """Count one block in."""
        self.losses.append(float(loss.detach()))
        cosines = pairwise_cosines(users_BKD.detach())
        self.cosines.append(float(cosines.mean()) if cosines.numel() else 1.0)
        self.wins_K = wins_K if self.wins_K is None else self.wins_K + wins_K

    def win_shares(self) -> list[float]:
        """Return each tower's share of the targets; they sum to 1, or are all 0 without any target."""
        if self.wins_K is None:
            return []
        return [float(share) for share in self.wins_K / self.wins_K.sum().clamp(min=1)]

    def curves(self) -> dict[str, float]:
        """Return the figures by the name of the curve that they continue."""
        mean = {name: float(np.mean(v)) if v else 0.0 for name, v in self._series().items()}
        return mean | {f"win_share_{k}": share for k, share in enumerate(self.win_shares())}

    def _series(self) -> dict[str, list[float]]:
        return {"loss": self.losses, "mean_pairwise_cosine": self.cosines}


EpochHook = Callable[[int, MultiInterest, dict[str, float]], bool]
"""Called after each epoch with its number (from 1), the model and the epoch's curves; returns whether to go on."""


def fit(
    model: MultiInterest,
    pairs: PairLog,
    config: MultiInterestTrainingConfig,
    num_epochs: int,
    seed: int,
    after_epoch: EpochHook,
) -> None:
    """Train `model` in place on distinct pairs; equal arguments give equal weights.

    Args:
        model: A started model.
        pairs: Distinct pairs in time order.
        config: How to learn.
        num_epochs: Passes over the users, or over `config.epoch_users` of them.
        seed: Seed of order and of what is hidden.
        after_epoch: Stops the training by returning False.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    moved = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(moved, lr=config.learning_rate, fused=True)
    blocks = Blocks(pairs, config.dealing())
    warmup = max(config.warmup_epochs, 1e-9)
    is_sampled, shares_I = pairs.num_items > config.max_candidates, item_shares(pairs, config.drawn_by)
    stream, per_epoch = _endless(blocks, rng), num_blocks(len(blocks.users), config)
    for epoch in range(1, num_epochs + 1):
        model.train()
        figures = EpochFigures()
        for number, block in enumerate(islice(stream, per_epoch)):
            if len(block.target_item_idx):
                block = with_candidates(block, shares_I, config.num_drawn, rng) if is_sampled else block
                done = (epoch - 1 + number / per_epoch) / warmup
                _step(model, optimizer, block, config, config.softness * max(1 - done, 0.0), rng, figures)
        model.eval()
        curves = figures.curves()
        logger.info("multi-interest epoch %d of %d: %s", epoch, num_epochs, {k: round(v, 4) for k, v in curves.items()})
        if not after_epoch(epoch, model, curves):
            break


def num_blocks(num_users: int, config: MultiInterestTrainingConfig) -> int:
    """Return how many blocks make an epoch of a log of `num_users` who have something to hide."""
    return -(-min(num_users, config.epoch_users) // config.block_users)


def _endless(blocks: Blocks, rng: np.random.Generator) -> Iterator[Block]:
    """Yield pass after pass over the users; nothing of a log without users to learn from."""
    while len(blocks.users):
        yield from blocks.epoch(rng)


def _step(
    model: MultiInterest,
    optimizer: torch.optim.Optimizer,
    block: Block,
    config: MultiInterestTrainingConfig,
    softness: float,
    rng: np.random.Generator,
    figures: EpochFigures,
) -> None:
    users_BKD = model.users(shown_items(block.shown_item_idx, block.shown_place, block.size, config.towers.max_length))
    loss, wins_K = block_loss(model, users_BKD, block, config, softness, rng)
    if config.repel_weight:
        loss = loss + config.repel_weight * repel(config.repel_form, users_BKD, config.repel_delta, config.repel_t)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    figures.add(loss, users_BKD, wins_K)


def block_loss(
    model: MultiInterest,
    users_BKD: Tensor,
    block: Block,
    config: MultiInterestTrainingConfig,
    softness: float,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Return the loss of one block without the repulsion, and how many targets each interest wins, int64[K]."""
    num_shown = torch.from_numpy(np.bincount(block.shown_place, minlength=block.size)).float()
    user_bias_B = model.user_bias(num_shown)
    if config.read_out == "max" and config.loss == "softmax":
        weighed = InterestLoss(user_side=config.user_side, balance=config.balance_weight, softness=softness)
        scored = (model.scale * users_BKD, *_candidate_terms(model, block), user_bias_B)
        return interest_cross_entropy(*scored, block_targets(block), weighed)
    scores_BKC, targets = block_scores(model, users_BKD, block)
    losses_T = _read_out_losses(scores_BKC, targets, config, softness, rng)
    if config.user_side:
        best_BC = best_of_interests(scores_BKC, softness)
        losses_T = losses_T + config.user_side * user_side_losses(best_BC, user_bias_B, targets)
    loss = (targets.weights_T / targets.weights_T.sum().clamp(min=1e-12) * losses_T).sum()
    if config.balance_weight:
        loss = loss + config.balance_weight * balance(scores_BKC, targets)
    return loss, win_counts(scores_BKC.detach(), targets)


def _candidate_terms(model: MultiInterest, block: Block) -> tuple[Tensor, Tensor]:
    """Return vectors float[C, D] and terms float[C] of a block's candidates, corrected where they were drawn."""
    candidates = None if block.candidates is None else torch.from_numpy(block.candidates)
    bias_C = model.item_bias if candidates is None else model.item_bias[candidates]
    if block.log_inclusion is not None:
        bias_C = bias_C - torch.from_numpy(block.log_inclusion)
    return model.items(candidates), bias_C


def block_scores(model: MultiInterest, users_BKD: Tensor, block: Block) -> tuple[Tensor, BlockTargets]:
    """Return logits float[B, K, C] with biases and correction, shown pairs masked, and the block's targets."""
    items_CD, bias_C = _candidate_terms(model, block)
    targets = block_targets(block)
    flat = torch.addmm(bias_C, (model.scale * users_BKD).flatten(0, 1), items_CD.T)
    scores_BKC = flat.view(*users_BKD.shape[:2], -1)
    shown = torch.zeros(scores_BKC.shape[0], scores_BKC.shape[2], dtype=torch.bool)
    shown[targets.masked_rows_M, targets.masked_columns_M] = True
    return scores_BKC.masked_fill(shown[:, None, :], MASKED), targets


def _read_out_losses(
    scores_BKC: Tensor,
    targets: BlockTargets,
    config: MultiInterestTrainingConfig,
    softness: float,
    rng: np.random.Generator,
) -> Tensor:
    if config.loss == "hinge":
        drawn = torch.from_numpy(rng.integers(0, scores_BKC.shape[2], config.num_negatives))
        return hinge_losses(scores_BKC, targets, drawn, config.read_out, config.margin)
    return target_losses(scores_BKC, targets, config.read_out, softness)
