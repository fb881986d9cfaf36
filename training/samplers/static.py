"""Draw negatives that do not depend on the model: uniform (RNS), by popularity (PNS), and from the batch itself.

Shape legend: B positives, N negatives of each, I items.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.samplers.negative import CurrentVectors, Negatives, Positives
from training.samplers.proposals import ROUNDS, Proposal
from training.samplers.seen import Seen


class UniformSampler:
    """RNS: every item that the user has not interacted with is equally likely. States log p(i | u) exactly."""

    name = "uniform"

    def __init__(self, seen: Seen) -> None:
        self.proposal = Proposal.uniform(seen)

    def draw(self, positives: Positives, current: CurrentVectors, num: int, generator: torch.Generator) -> Negatives:
        """Return plain draws; see `NegativeSampler`."""
        return plain_draw(self.proposal, positives, current, num, generator)


class PopularitySampler:
    """PNS: items in proportion to their count to a power, among those not met. States log p(i | u) exactly."""

    def __init__(self, seen: Seen, count_I: Tensor, power: float) -> None:
        """Hold the distribution.

        Args:
            seen: Known pairs.
            count_I: int64[I], how often each item occurs among the training pairs; items never seen are never drawn.
            power: 0.5, 0.75 and 1 are usual; 0 draws uniformly among the items that occur.
        """
        self.name = f"popularity^{power:g}"
        weight_I = torch.where(count_I > 0, count_I.double() ** power, 0.0)
        self.proposal = Proposal(weight_I, seen)

    def draw(self, positives: Positives, current: CurrentVectors, num: int, generator: torch.Generator) -> Negatives:
        """Return plain draws; see `NegativeSampler`."""
        return plain_draw(self.proposal, positives, current, num, generator)


class InBatchSampler:
    """Items of the batch's other positives, drawn uniformly over the batch's rows, among those not met.

    States the *marginal* over batches, in which an item comes up as often as among the training pairs: p(i) over the
    mass of what the user has not met. Given one batch the draw is uniform over its rows. A row for which the batch
    offers nothing new takes any of its items.
    """

    name = "in-batch"

    def __init__(self, seen: Seen, count_I: Tensor) -> None:
        """Hold the marginal of int64[I] counts among the training pairs."""
        self.proposal = Proposal(count_I, seen)

    def draw(self, positives: Positives, current: CurrentVectors, num: int, generator: torch.Generator) -> Negatives:
        """Return items of the batch; see `NegativeSampler`."""
        item_idx_B = positives.item_idx_B
        user_idx = positives.user_idx_B[:, None].expand(-1, num)
        picked = _rows(item_idx_B, user_idx.shape, generator)
        seen = self.proposal.seen
        for _ in range(ROUNDS):
            wrong = seen.contains(user_idx, picked).nonzero(as_tuple=True)
            if not len(wrong[0]):
                break
            picked[wrong] = _rows(item_idx_B, wrong[0].shape, generator)
        wrong = seen.contains(user_idx, picked).nonzero(as_tuple=True)
        if len(wrong[0]):
            free = ~seen.contains(user_idx[wrong][:, None], item_idx_B)
            free |= ~free.any(dim=1, keepdim=True)
            picked[wrong] = item_idx_B[torch.multinomial(free.float(), 1, generator=generator)[:, 0]]
        log_p = self.proposal.log_p
        return Negatives(current, positives, picked[:, :, None], lambda: log_p(user_idx, picked))


def plain_draw(
    proposal: Proposal, positives: Positives, current: CurrentVectors, num: int, generator: torch.Generator
) -> Negatives:
    """Return N items of a proposal as they are, with their exact log probability."""
    user_idx_B = positives.user_idx_B
    picked = proposal.draw(user_idx_B, num, generator)
    return Negatives(current, positives, picked[:, :, None], lambda: proposal.log_p(user_idx_B[:, None], picked))


def _rows(item_idx_B: Tensor, shape: torch.Size, generator: torch.Generator) -> Tensor:
    return item_idx_B[torch.randint(len(item_idx_B), shape, generator=generator)]
