"""Draw a user's unseen items from a fixed distribution over the catalogue, and state how likely each was.

Shape legend: U users, I items, B rows, N draws of a row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.samplers.seen import Seen

ROUNDS = 8
"""Rejections before the rest is drawn from the exact conditional distribution, row by row."""


class Proposal:
    """p(i | u) = q(i) / (1 - q(known items of u)) on items that u has not met.

    A user who has interacted with everything that q can draw is drawn from q itself: a negative must be returned.
    """

    def __init__(self, weight_I: Tensor, seen: Seen) -> None:
        """Hold q proportional to float[I] not negative weights, and what users have interacted with."""
        self.seen = seen
        self.q_I = (weight_I.double() / weight_I.double().sum()).contiguous()
        self._ends_I = self.q_I.cumsum(0)
        free_U = 1 - seen.mass(self.q_I)
        self.exhausted_U = free_U <= 1e-12
        self._log_free_U = torch.where(self.exhausted_U, torch.ones(()).double(), free_U).log()
        self._log_q_I = self.q_I.log()

    @classmethod
    def uniform(cls, seen: Seen) -> Proposal:
        """Return the proposal whose q is the same for every item."""
        return cls(torch.ones(seen.num_items), seen)

    def draw(self, user_idx_B: Tensor, num: int, generator: torch.Generator) -> Tensor:
        """Return int64[B, N] items, drawn independently and with replacement."""
        user_idx = user_idx_B[:, None].expand(-1, num)
        item_idx = self._from_q(user_idx.shape, generator)
        wrong = self._is_wrong(user_idx, item_idx)
        for _ in range(ROUNDS):
            if not len(wrong):
                return item_idx
            item_idx.view(-1)[wrong] = self._from_q(wrong.shape, generator)
            again = self._is_wrong(user_idx.reshape(-1)[wrong], item_idx.view(-1)[wrong])
            wrong = wrong[again]
        if len(wrong):
            item_idx.view(-1)[wrong] = self._from_rows(user_idx.reshape(-1)[wrong], generator)
        return item_idx

    def log_p(self, user_idx: Tensor, item_idx: Tensor) -> Tensor:
        """Return float of the broadcast shape: log p(i | u); meaningful for items that u has not met."""
        return (self._log_q_I[item_idx] - self._log_free_U[user_idx]).float()

    def _from_q(self, shape: torch.Size, generator: torch.Generator) -> Tensor:
        places = torch.rand(shape, generator=generator, dtype=torch.float64) * self._ends_I[-1]
        return torch.searchsorted(self._ends_I, places, right=True).clamp(max=len(self.q_I) - 1)

    def _is_wrong(self, user_idx: Tensor, item_idx: Tensor) -> Tensor:
        hit = self.seen.contains(user_idx, item_idx) & ~self.exhausted_U[user_idx]
        return hit.reshape(-1).nonzero()[:, 0]

    def _from_rows(self, user_idx: Tensor, generator: torch.Generator) -> Tensor:
        every_item = torch.arange(self.seen.num_items)
        free = ~self.seen.contains(user_idx[:, None], every_item)
        return torch.multinomial(self.q_I * free, 1, generator=generator)[:, 0]
