"""Deal positive pairs into batches and score each batch against itself: the sampled objective of the two towers.

A batch's items are the candidates of its users and its users those of its items, so ids come up as often as they are
sampled; UniMatch (arXiv 2307.09989) corrects for that by their marginals under that very sampling.

Shape legend: U users, I items, N sampled pairs, B pairs of a batch, M shown items of all users of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.data.pair_log import Histories, PairLog
from training.losses.nce import Switches, bidirectional_nce
from training.models.history_rows import encode_rows
from training.models.two_tower import TwoTower
from training.samplers.marginals import Marginals

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
SMOOTHING = 1e-3
"""Pseudo-count of the marginals. Only sampled ids are looked up, so it need not, and must not, weigh beside a count
of one: a whole pseudo-count would halve the correction's odds on the rarest items."""


@dataclass(frozen=True)
class PairBatch:
    """Some positive pairs, each with what its user has met besides.

    Attributes:
        shown_item_idx: int64[M], the users' other items, oldest first within a pair.
        shown_place: int64[M], ascending place of the pair in the batch.
        item_idx: int64[B], the pairs' items.
        num_met: int64[B], items that each pair's user has met in all.
        log_p_items: float32[B], log marginal of each pair's item.
        log_p_users: float32[B], log marginal of each pair's user.
    """

    shown_item_idx: Indices
    shown_place: Indices
    item_idx: Indices
    num_met: Indices
    log_p_items: Floats
    log_p_users: Floats


class PairBatches:
    """Sample every pair whose user has another item once per epoch, in an order that is drawn anew."""

    def __init__(self, pairs: PairLog, batch_pairs: int, since: int | None = None) -> None:
        """Hold the pairs to sample.

        Args:
            pairs: Distinct pairs in time order.
            batch_pairs: B at most; batches are of equal size, give or take one.
            since: Epoch seconds; when given, only rows from then on are sampled.
        """
        self.batch_pairs = batch_pairs
        self.histories: Histories = pairs.histories()
        lengths = self.histories.lengths
        self.user_idx = np.repeat(np.arange(pairs.num_users), lengths)
        sampled = lengths[self.user_idx] >= 2
        if since is not None:
            sampled &= self.histories.occurred_at >= since
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
            yield self._deal(rows)

    def _deal(self, target_rows: Indices) -> PairBatch:
        user_idx, item_idx = self.user_idx[target_rows], self.histories.item_idx[target_rows]
        rows, place = self.histories.rows_of(user_idx)
        shown = rows != target_rows[place]
        return PairBatch(
            shown_item_idx=self.histories.item_idx[rows[shown]],
            shown_place=place[shown],
            item_idx=item_idx,
            num_met=self.histories.lengths[user_idx],
            log_p_items=self.marginals.log_p_items_I[item_idx],
            log_p_users=self.marginals.log_p_users_U[user_idx],
        )


def pair_scores(model: TwoTower, batch: PairBatch) -> Tensor:
    """Return float[B, B]: phi of every user with every item of the batch, biases of both included.

    The user's bias counts the pair itself, as the sampling does: with an activity of 1 it is log p(u) up to a constant.
    """
    users = encode_rows(model, batch.shown_item_idx, batch.shown_place, len(batch.item_idx))
    item_idx = torch.from_numpy(batch.item_idx)
    user_bias = model.user_bias(torch.from_numpy(batch.num_met).float())
    return model.scale * users @ model.items(item_idx).T + user_bias[:, None] + model.item_bias[item_idx]


def pair_loss(model: TwoTower, batch: PairBatch, switches: Switches) -> Tensor:
    """Return the bidirectional NCE of a batch; accidental hits count, as the correction by the marginals expects."""
    log_p_items, log_p_users = torch.from_numpy(batch.log_p_items), torch.from_numpy(batch.log_p_users)
    return bidirectional_nce(pair_scores(model, batch), log_p_items, log_p_users, switches)
