"""Train the user tower event by event: every position of a history predicts the item that comes next.

Each prefix of a history is a user at that moment, so one pass through a causal encoder gives a training sample per
event instead of one per user. The softmax runs over candidates that the positions of a batch share. Each item is among
them with a chance of its own, and counts by one over that chance: the sum over the candidates estimates the sum over
the catalogue without bias (Horvitz and Thompson, 1952), which is what gSASRec (RecSys 2023) repairs afterwards by
calibrating its losses. A catalogue no larger than the number of candidates is scored whole.

A user's items up to a position are out of play there: pairs are distinct, so none comes next, and serving removes them.
Were they left in, the towers would learn to push away the very items that tell what is like the next one.

Shape legend: U users, B users of a batch, L positions, P positions that predict, I items, C candidates, D width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.arrays import Doubles, Indices
from training.data.pair_log import Histories, PairLog
from training.losses.sampled import sampled_softmax
from training.ranking.history_rows import pad
from training.ranking.two_tower import TwoTower

ROWS_AT_ONCE = 1024
"""Positions whose scores over the candidates are held at once: more of them leave the processor's cache."""
OUT_OF_PLAY = -1e9
"""Score of an item of the history so far, and of the position's own target, which is scored apart: it is always in."""
NEVER = np.iinfo(np.int32).max
"""Position at which a user interacted with a candidate that the history does not hold."""


@dataclass(frozen=True)
class NextItemBatch:
    """Some users' windows, and the positions in them that predict.

    Attributes:
        item_idx_BL: int64[B, L], oldest first, padded at the end.
        mask_BL: bool[B, L], true on real items.
        user_P: int64[P], place of the user in the batch.
        position_P: int64[P], place in the window of the newest item that the prediction may read.
        target_P: int64[P], the item that came next.
        candidates_C: int64[C], ascending: what every position is scored against beside its target.
        log_chance_C: float32[C], log probability that each of them is among the candidates.
        interacted_at_BC: int32[B, C], place in the window of the user's interaction with each; negative before the
            window, `NEVER` where the history does not hold it.
    """

    item_idx_BL: Indices
    mask_BL: npt.NDArray[np.bool_]
    user_P: Indices
    position_P: Indices
    target_P: Indices
    candidates_C: Indices
    log_chance_C: npt.NDArray[np.float32]
    interacted_at_BC: npt.NDArray[np.int32]


class NextItemBatches:
    """Deal every user with at least two items once per epoch: a window of the history, anew each time.

    Users of like length share a batch, so that little of it is padding; the order of batches is drawn.
    """

    def __init__(
        self, pairs: PairLog, batch_users: int, max_length: int, max_candidates: int, since: int | None = None
    ) -> None:
        """Hold the histories, and how likely each item is drawn.

        Args:
            pairs: Distinct pairs in time order.
            batch_users: B at most.
            max_length: L at most; a longer history is read through a window that is drawn each epoch.
            max_candidates: C on average; a catalogue of no more items is scored whole.
            since: Epoch seconds; when given, only rows that arrived from then on are predicted, and windows end with
                the history: a late row before the window is not.
        """
        self.batch_users, self.max_length, self.since = batch_users, max_length, since
        self.chances_I = inclusion_chances(pairs.item_counts(), max_candidates)
        self.histories: Histories = pairs.histories()
        self.users = np.flatnonzero(self.histories.lengths >= 2)
        if since is not None:
            self.users = np.intersect1d(self.users, self.histories.users_since(since))

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
        rows, place = self.histories.rows_of(user_idx)
        position = rows - (self.histories.offsets[user_idx] + self._skipped(user_idx, rng))[place]
        items = self.histories.item_idx[rows]
        is_newest = np.append(place[1:] != place[:-1], True)
        read = (position >= 0) & (position < self.max_length) & ~is_newest
        predicted = (position >= 1) & (position <= self.max_length)
        if self.since is not None:
            predicted &= self.histories.arrived_at[rows] >= self.since
        item_idx_BL, mask_BL = pad(items[read], place[read], len(user_idx), self.max_length)
        candidates = np.flatnonzero(rng.random(len(self.chances_I)) < self.chances_I)
        return NextItemBatch(
            item_idx_BL=item_idx_BL,
            mask_BL=mask_BL,
            user_P=place[predicted],
            position_P=position[predicted] - 1,
            target_P=items[predicted],
            candidates_C=candidates,
            log_chance_C=np.log(self.chances_I[candidates]).astype(np.float32),
            interacted_at_BC=met_positions(candidates, items, position, place, len(user_idx)),
        )

    def _skipped(self, user_idx: Indices, rng: np.random.Generator) -> Indices:
        """Return int64[B]: how many of each user's oldest items stand before the window."""
        spare = np.maximum(self.histories.lengths[user_idx] - self.max_length - 1, 0)
        return spare if self.since is not None else rng.integers(0, spare + 1)


def inclusion_chances(counts_I: Doubles, num: int) -> Doubles:
    """Return float64[I], summing to `num`: chances in proportion to the root of an item's count, but none above 1.

    Items that occur often take most of the softmax, so drawing them more often lowers the estimate's variance. With no
    more than `num` items every chance is 1.
    """
    weights = np.sqrt(counts_I + 1.0)
    certain = np.full(len(counts_I), len(counts_I) <= num)
    while True:
        rest = weights[~certain].sum()
        chances = np.where(certain, 1.0, weights * (num - certain.sum()) / max(rest, 1e-12))
        if (chances <= 1).all():
            return np.asarray(chances, np.float64)
        certain |= chances >= 1


def met_positions(
    candidates_C: Indices, item_idx: Indices, position: Indices, place: Indices, num_users: int
) -> npt.NDArray[np.int32]:
    """Return int32[B, C]: the position at which each user interacted with each candidate, `NEVER` where it did not.

    Args:
        candidates_C: int64[C], ascending.
        item_idx: int64[M], what the users interacted with.
        position: int64[M], when.
        place: int64[M], place in [0, B) of the user who did.
        num_users: B.
    """
    column = np.minimum(np.searchsorted(candidates_C, item_idx), len(candidates_C) - 1)
    is_candidate = candidates_C[column] == item_idx
    interacted_at_BC = np.full((num_users, len(candidates_C)), NEVER, np.int32)
    interacted_at_BC[place[is_candidate], column[is_candidate]] = position[is_candidate]
    return interacted_at_BC


def next_item_loss(model: TwoTower, batch: NextItemBatch) -> Tensor:
    """Return the mean cross-entropy of the next item, the softmax over the catalogue estimated from the candidates."""
    places = torch.from_numpy(batch.user_P), torch.from_numpy(batch.position_P)
    states_BLD = model.positions(torch.from_numpy(batch.item_idx_BL), torch.from_numpy(batch.mask_BL))
    users_PD = model.scale * states_BLD[places]
    candidates, target_P = torch.from_numpy(batch.candidates_C), torch.from_numpy(batch.target_P)
    positive_P = (users_PD * model.items(target_P)).sum(1) + model.item_bias[target_P]
    items_CD, interacted_at_BC = model.items(candidates), torch.from_numpy(batch.interacted_at_BC)
    bias_C = model.item_bias[candidates] - torch.from_numpy(batch.log_chance_C)
    losses = []
    parts = (torch.split(side, ROWS_AT_ONCE) for side in (users_PD, positive_P, *places))
    for users, positive, user, position in zip(*parts, strict=True):
        scores = torch.addmm(bias_C, users, items_CD.T)
        scores.masked_fill_(interacted_at_BC[user] <= position[:, None] + 1, OUT_OF_PLAY)
        losses.append(len(positive) * sampled_softmax(positive, scores))
    return torch.stack(losses).sum() / len(target_P)
