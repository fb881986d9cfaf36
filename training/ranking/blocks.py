"""Deal users into blocks: hide some of their items as targets, show the rest.

Shape legend: U users, I items, B users of a block, C candidates, T targets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from training.arrays import Floats, Indices
from training.data.pair_log import SECONDS_PER_DAY, Histories, PairLog
from training.losses.block import BlockTargets


@dataclass(frozen=True, kw_only=True)
class BlockConfig:
    """How users are dealt into blocks.

    Attributes:
        block_users: Users scored together.
        hidden_share: Share of a user's items hidden as targets, in (0, 1).
        half_life_share: Age, as a share of the log's rows, at which a target counts half.
        max_candidates: Catalogue size above which candidates are drawn; None takes the whole catalogue always.
    """

    block_users: int
    hidden_share: float
    half_life_share: float
    max_candidates: int | None = None


@dataclass(frozen=True)
class Block:
    """Some users with what is shown of them and what is hidden.

    Attributes:
        shown_item_idx: int64[M], oldest first within a user.
        shown_place: int64[M], ascending place of the user in the block.
        target_item_idx: int64[T].
        target_place: int64[T].
        target_weights: float32[T].
        candidates: int64[C] ascending, or None for the whole catalogue.
        log_inclusion: float32[C], log probability that each candidate is in; None with the whole catalogue.
        size: B.
    """

    shown_item_idx: Indices
    shown_place: Indices
    target_item_idx: Indices
    target_place: Indices
    target_weights: Floats
    candidates: Indices | None
    log_inclusion: Floats | None
    size: int


class Blocks:
    """Deal users into blocks, and their items into shown and hidden, anew each epoch."""

    def __init__(self, pairs: PairLog, config: BlockConfig, since: int | None = None) -> None:
        self.config = config
        self.num_items = pairs.num_items
        self.histories: Histories = pairs.histories()
        self.since = since
        self.users = np.flatnonzero(self.histories.lengths >= 2)
        if since is not None:
            self.users = np.intersect1d(self.users, self.histories.users_since(since))
        self.weights = target_weights(self.histories.occurred_at, pairs, config.half_life_share)

    def epoch(self, rng: np.random.Generator) -> Iterator[Block]:
        """Yield every user with at least two items once."""
        order = rng.permutation(self.users)
        for start in range(0, len(order), self.config.block_users):
            yield self._deal(np.sort(order[start : start + self.config.block_users]), rng)

    def _deal(self, user_idx: Indices, rng: np.random.Generator) -> Block:
        rows, place = self.histories.rows_of(user_idx)
        chance = np.full(len(rows), self.config.hidden_share)
        if self.since is not None:
            chance = (self.histories.arrived_at[rows] >= self.since).astype(np.float64)
        hidden = hide(place, len(user_idx), chance, rng)
        items = self.histories.item_idx[rows]
        targets = items[hidden]
        candidates, log_inclusion = self._candidates(targets, rng)
        return Block(
            shown_item_idx=items[~hidden],
            shown_place=place[~hidden],
            target_item_idx=targets,
            target_place=place[hidden],
            target_weights=self.weights[rows][hidden],
            candidates=candidates,
            log_inclusion=log_inclusion,
            size=len(user_idx),
        )

    def _candidates(self, targets: Indices, rng: np.random.Generator) -> tuple[Indices | None, Floats | None]:
        num_drawn = self.config.max_candidates
        if num_drawn is None or self.num_items <= num_drawn:
            return None, None
        drawn = rng.choice(self.num_items, num_drawn, replace=False)
        candidates = np.union1d(drawn, targets)
        # an item is in when drawn, or when it is some user's target; the latter at its observed rate in the block
        rate = np.bincount(np.searchsorted(candidates, targets), minlength=len(candidates))
        missed = (1 - num_drawn / self.num_items) * np.exp(-rate.astype(np.float64))
        return candidates, np.log1p(-missed).astype(np.float32)


def hide(
    place: Indices, num_users: int, chance_M: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Return which rows to hide: each with its own chance, but at least one row of a user stays shown.

    Args:
        place: int64[M], ascending user place of each row.
        num_users: B.
        chance_M: float64[M], probability of each row.
        rng: Source of the draws.
    """
    hidden = rng.random(len(place)) < chance_M
    keep = np.full(num_users, -1, np.int64)
    np.put(keep, place, np.arange(len(place)))
    without = np.bincount(place[~hidden], minlength=num_users) == 0
    hidden[keep[without & (keep >= 0)]] = False
    return hidden


def target_weights(occurred_at: Indices, pairs: PairLog, half_life_share: float) -> Floats:
    """Return float32 weights that halve with each step back in time of the log's newest `half_life_share` of rows."""
    newest = pairs.occurred_at[-1] if len(pairs) else 0
    start = pairs.instant_at(1 - half_life_share) if len(pairs) else 0
    half_life = max(float(newest - start), SECONDS_PER_DAY)
    return np.asarray(0.5 ** ((newest - occurred_at) / half_life), np.float32)


def block_targets(block: Block) -> BlockTargets:
    """Return what a block's loss needs, items as places among its candidates; shown pairs are out of play."""
    columns, masked_columns, masked_rows = block.target_item_idx, block.shown_item_idx, block.shown_place
    if block.candidates is not None:
        columns = np.searchsorted(block.candidates, columns)
        at = np.minimum(np.searchsorted(block.candidates, masked_columns), len(block.candidates) - 1)
        among = block.candidates[at] == masked_columns
        masked_columns, masked_rows = at[among], masked_rows[among]
    return BlockTargets(
        rows_T=torch.from_numpy(block.target_place),
        columns_T=torch.from_numpy(columns),
        weights_T=torch.from_numpy(block.target_weights),
        masked_rows_M=torch.from_numpy(masked_rows),
        masked_columns_M=torch.from_numpy(masked_columns),
    )
