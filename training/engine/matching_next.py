"""Train the user tower event by event: every position of a history predicts the item that comes next.

Each prefix of a history is a user at that moment, so one pass through a causal encoder gives a training sample per
event instead of one per user. The softmax runs over the whole catalogue: nothing is sampled, nothing needs correction
(what gSASRec, RecSys 2023, repairs by calibrating sampled negatives does not arise).

Shape legend: U users, B users of a batch, L positions, P positions that predict, I items, D width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.data.pair_log import Histories, PairLog
from training.losses.block import BlockTargets, block_cross_entropy
from training.models.history_rows import pad
from training.models.two_tower import TwoTower

Indices = npt.NDArray[np.int64]
ROWS_AT_ONCE = 2048
"""Positions whose scores over the catalogue are held at once: more of them leave the processor's cache."""


@dataclass(frozen=True)
class NextItemBatch:
    """Some users' windows, and the positions in them that predict.

    Attributes:
        item_idx_BL: int64[B, L], oldest first, padded at the end.
        mask_BL: bool[B, L], true on real items.
        user_P: int64[P], place of the user in the batch.
        position_P: int64[P], place in the window of the newest item that the prediction may read.
        target_P: int64[P], the item that came next.
    """

    item_idx_BL: Indices
    mask_BL: npt.NDArray[np.bool_]
    user_P: Indices
    position_P: Indices
    target_P: Indices


class NextItemBatches:
    """Deal every user with at least two items once per epoch: a window of the history, anew each time.

    Users of like length share a batch, so that little of it is padding; the order of batches is drawn.
    """

    def __init__(
        self, pairs: PairLog, batch_users: int, max_length: int, max_targets: int, since: int | None = None
    ) -> None:
        """Hold the histories.

        Args:
            pairs: Distinct pairs in time order.
            batch_users: B at most.
            max_length: L at most; a longer history is read through a window that is drawn each epoch.
            max_targets: Positions of a user that predict in an epoch, at most; drawn where there are more.
            since: Epoch seconds; when given, only rows from then on are predicted, and windows end with the history.
        """
        self.batch_users, self.max_length, self.max_targets, self.since = batch_users, max_length, max_targets, since
        self.histories: Histories = pairs.histories()
        self.users = np.flatnonzero(self.histories.lengths >= 2)
        if since is not None:
            self.users = np.intersect1d(self.users, pairs.since(since).user_idx)

    def epoch(self, rng: np.random.Generator) -> Iterator[NextItemBatch]:
        """Yield every user once."""
        if not len(self.users):
            return
        order = rng.permutation(self.users)
        order = order[np.argsort(np.minimum(self.histories.lengths[order], self.max_length + 1), kind="stable")]
        batches = np.array_split(order, -(-len(order) // self.batch_users))
        for number in rng.permutation(len(batches)):
            yield self._deal(batches[number], rng)

    def _deal(self, user_idx: Indices, rng: np.random.Generator) -> NextItemBatch:
        rows, place = self._windows(user_idx, rng)
        ends = np.append(place[1:] != place[:-1], True)
        starts = np.append(True, ends[:-1])
        position = np.arange(len(rows)) - np.flatnonzero(starts)[place]
        chosen = ~starts
        if self.since is not None:
            chosen &= self.histories.occurred_at[rows] >= self.since
        chosen = np.flatnonzero(_at_most(self.max_targets, chosen, place, rng))
        items = self.histories.item_idx[rows]
        item_idx_BL, mask_BL = pad(items[~ends], place[~ends], len(user_idx), self.max_length)
        return NextItemBatch(item_idx_BL, mask_BL, place[chosen], position[chosen] - 1, items[chosen])

    def _windows(self, user_idx: Indices, rng: np.random.Generator) -> tuple[Indices, Indices]:
        """Return rows of at most L + 1 successive items per user, and the place of each row's user."""
        rows, place = self.histories.rows_of(user_idx)
        lengths = self.histories.lengths[user_idx]
        spare = np.maximum(lengths - self.max_length - 1, 0)
        skipped = spare if self.since is not None else rng.integers(0, spare + 1)
        within = rows - self.histories.offsets[user_idx][place]
        kept = (within >= skipped[place]) & (within < skipped[place] + self.max_length + 1)
        return rows[kept], place[kept]


def _at_most(
    number: int, eligible_M: npt.NDArray[np.bool_], place_M: Indices, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Return bool[M]: the eligible rows, thinned at random to at most `number` per place."""
    drawn = np.where(eligible_M, rng.random(len(place_M)), 2.0)
    order = np.lexsort((drawn, place_M))
    rank = np.empty(len(place_M), np.int64)
    first = np.searchsorted(place_M, place_M)
    rank[order] = np.arange(len(place_M)) - first
    return np.asarray(eligible_M & (rank < number), np.bool_)


def next_item_loss(model: TwoTower, batch: NextItemBatch) -> Tensor:
    """Return the mean cross-entropy of the next item over the whole catalogue."""
    users = torch.from_numpy(batch.user_P), torch.from_numpy(batch.position_P)
    states = model.positions(torch.from_numpy(batch.item_idx_BL), torch.from_numpy(batch.mask_BL))[users]
    items, scale = model.items(), model.scale
    losses = []
    for start in range(0, len(batch.target_P), ROWS_AT_ONCE):
        target = torch.from_numpy(batch.target_P[start : start + ROWS_AT_ONCE])
        part = states[start : start + ROWS_AT_ONCE]
        none = target.new_zeros(0)
        targets = BlockTargets(
            rows_T=torch.arange(len(target)),
            columns_T=target,
            weights_T=torch.ones(len(target)),
            masked_rows_M=none,
            masked_columns_M=none,
        )
        loss = block_cross_entropy(scale * part, items, model.item_bias, part.new_zeros(len(part)), targets, 1.0, 0.0)
        losses.append(loss * len(target))
    return torch.stack(losses).sum() / len(batch.target_P)
