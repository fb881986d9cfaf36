"""Deal positive pairs into batches and score each batch against itself: the sampled objective of the two towers.

A batch's items are the candidates of its users and its users those of its items, so ids come up as often as they are
sampled; UniMatch (arXiv 2307.09989) corrects for that by their marginals under that very sampling.

Losses with drawn negatives, which it compares with, read the same batches: theirs are uniform users and items.

Shape legend: U users, I items, N sampled pairs, B pairs of a batch, M shown items of all users of a batch, C drawn
candidates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.arrays import Floats, Indices
from training.data.pair_log import Histories, PairLog
from training.losses.family import PAIR_LOSSES, PairLoss
from training.losses.nce import bidirectional_nce
from training.losses.sampled import binary_cross_entropy, draw_negatives, sampled_softmax
from training.ranking.history_rows import encode_rows
from training.ranking.two_tower import TwoTower
from training.samplers.marginals import Marginals

SMOOTHING = 1e-3
"""Pseudo-count of the marginals. Only sampled ids are looked up, so it need not, and must not, weigh beside a count
of one: a whole pseudo-count would halve the correction's odds on the rarest items."""


@dataclass(frozen=True)
class PairBatch:
    """Some positive pairs, each with what its user has interacted with besides.

    Attributes:
        shown_item_idx: int64[M], the users' other items, oldest first within a pair.
        shown_place: int64[M], ascending place of the pair in the batch.
        item_idx: int64[B], the pairs' items.
        num_interacted: int64[B], items that each pair's user has interacted with in all.
        log_p_items: float32[B], log marginal of each pair's item.
        log_p_users: float32[B], log marginal of each pair's user.
        negatives: What was drawn beside; None where the loss draws nothing.
    """

    shown_item_idx: Indices
    shown_place: Indices
    item_idx: Indices
    num_interacted: Indices
    log_p_items: Floats
    log_p_users: Floats
    negatives: Negatives | None = None


@dataclass(frozen=True)
class Negatives:
    """Drawn users with their histories, and drawn items.

    Attributes:
        shown_item_idx: int64[M'], the drawn users' items, oldest first; empty where users are the batch's own.
        shown_place: int64[M'], place of the drawn user.
        num_interacted: int64[B], items that each drawn user has interacted with.
        item_idx: int64[B] or, for sampled softmax, int64[C].
        are_own_users: Whether the users are the batch's own, in order.
    """

    shown_item_idx: Indices
    shown_place: Indices
    num_interacted: Indices
    item_idx: Indices
    are_own_users: bool


class PairBatches:
    """Sample every pair whose user has another item once per epoch, in an order that is drawn anew."""

    def __init__(
        self,
        pairs: PairLog,
        batch_pairs: int,
        since: int | None = None,
        loss: PairLoss = PAIR_LOSSES["bbcnce"],
        max_length: int | None = None,
    ) -> None:
        """Hold the pairs to sample.

        Args:
            pairs: Distinct pairs in time order.
            batch_pairs: B at most; batches are of equal size, give or take one.
            since: Epoch seconds; when given, only rows that arrived from then on are sampled.
            loss: Says which negatives are drawn beside.
            max_length: Newest items of a history that the encoder reads; older ones are not handed over.
        """
        self.batch_pairs, self.loss, self.max_length = batch_pairs, loss, max_length
        self.num_users, self.num_items = pairs.num_users, pairs.num_items
        self.histories: Histories = pairs.histories()
        lengths = self.histories.lengths
        self.user_idx = np.repeat(np.arange(pairs.num_users), lengths)
        sampled = lengths[self.user_idx] >= 2
        if since is not None:
            sampled &= self.histories.arrived_at >= since
        self.rows = np.flatnonzero(sampled)
        self.marginals = Marginals.of_samples(
            self.user_idx[self.rows], self.histories.item_idx[self.rows], pairs.num_users, pairs.num_items, SMOOTHING
        )

    def epoch(self, rng: np.random.Generator) -> Iterator[PairBatch]:
        """Yield every sampled pair once."""
        if not len(self.rows):
            return
        num_batches = -(-len(self.rows) // self.batch_pairs)
        for rows in np.array_split(rng.permutation(self.rows), num_batches):
            yield self._deal(rows, rng)

    def _deal(self, target_rows: Indices, rng: np.random.Generator) -> PairBatch:
        user_idx, item_idx = self.user_idx[target_rows], self.histories.item_idx[target_rows]
        rows, place = self.histories.rows_of(user_idx, self.max_length and self.max_length + 1)
        shown = rows != target_rows[place]
        return PairBatch(
            shown_item_idx=self.histories.item_idx[rows[shown]],
            shown_place=place[shown],
            item_idx=item_idx,
            num_interacted=self.histories.lengths[user_idx],
            log_p_items=self.marginals.log_p_items_I[item_idx],
            log_p_users=self.marginals.log_p_users_U[user_idx],
            negatives=self._negatives(user_idx, item_idx, rng),
        )

    def _negatives(self, user_idx: Indices, item_idx: Indices, rng: np.random.Generator) -> Negatives | None:
        nothing = np.zeros(0, np.int64)
        if self.loss.switches is not None:
            return None
        if self.loss.negatives is None:
            return Negatives(nothing, nothing, nothing, rng.integers(0, self.num_items, self.batch_pairs), True)
        users, items = draw_negatives(self.loss.negatives, user_idx, item_idx, self.num_users, self.num_items, rng)
        if users is user_idx:
            return Negatives(nothing, nothing, nothing, items, True)
        rows, place = self.histories.rows_of(users, self.max_length)
        return Negatives(self.histories.item_idx[rows], place, self.histories.lengths[users], items, False)


def pair_scores(model: TwoTower, batch: PairBatch) -> Tensor:
    """Return float[B, B]: phi of every user with every item of the batch, biases of both included.

    The user's bias counts the pair itself, as the sampling does: with an activity of 1 it is log p(u) up to a constant.
    """
    return _scores(model, _users(model, batch), batch.num_interacted, batch.item_idx)


def pair_loss(model: TwoTower, batch: PairBatch, loss: PairLoss) -> Tensor:
    """Return a batch's loss; accidental hits count, as the correction by the marginals expects."""
    if loss.switches is not None:
        log_p_items, log_p_users = torch.from_numpy(batch.log_p_items), torch.from_numpy(batch.log_p_users)
        return bidirectional_nce(pair_scores(model, batch), log_p_items, log_p_users, loss.switches)
    assert batch.negatives is not None
    users = _users(model, batch)
    positive = _paired(model, users, batch.num_interacted, batch.item_idx)
    if loss.negatives is None:
        return sampled_softmax(positive, _scores(model, users, batch.num_interacted, batch.negatives.item_idx))
    return binary_cross_entropy(positive, _negative_scores(model, users, batch, batch.negatives))


def _negative_scores(model: TwoTower, users_BD: Tensor, batch: PairBatch, drawn: Negatives) -> Tensor:
    if drawn.are_own_users:
        return _paired(model, users_BD, batch.num_interacted, drawn.item_idx)
    others = encode_rows(model, drawn.shown_item_idx, drawn.shown_place, len(drawn.item_idx))
    return _paired(model, others, drawn.num_interacted, drawn.item_idx)


def _users(model: TwoTower, batch: PairBatch) -> Tensor:
    return encode_rows(model, batch.shown_item_idx, batch.shown_place, len(batch.item_idx))


def _scores(model: TwoTower, users_BD: Tensor, num_interacted: Indices, items: Indices) -> Tensor:
    item_idx = torch.from_numpy(items)
    user_bias = model.user_bias(torch.from_numpy(num_interacted).float())
    return model.scale * users_BD @ model.items(item_idx).T + user_bias[:, None] + model.item_bias[item_idx]


def _paired(model: TwoTower, users_BD: Tensor, num_interacted: Indices, items: Indices) -> Tensor:
    item_idx = torch.from_numpy(items)
    user_bias = model.user_bias(torch.from_numpy(num_interacted).float())
    return model.scale * (users_BD * model.items(item_idx)).sum(dim=1) + user_bias + model.item_bias[item_idx]
