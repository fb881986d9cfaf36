"""Keep a memory of candidates per user, and draw the one whose score is high and varies.

SRNS (Ding et al., NeurIPS 2020): a false negative scores high at every visit, a true hard negative's score moves. The
variance here is an exponential average over visits, where the paper keeps the last five epochs.

Shape legend: B positives, N negatives of each, S slots of a user's memory, U users, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.samplers.dynamic import log_p_of_rank, ranks
from training.samplers.negative import CurrentVectors, Negatives, Positives
from training.samplers.proposals import Proposal
from training.samplers.seen import Seen


class VarianceMemorySampler:
    """Draw `looked_at` slots of the user's memory, return the best by sigmoid(s_uk - s_ui) + weight * deviation.

    States the log probability *given the user's memory* as it is at the draw, of the slot; items outside it have none.
    After the draw the memory is refreshed: of its slots and as many fresh uniform ones, those that stay are drawn in
    proportion to exp(score / temperature).
    """

    def __init__(
        self,
        seen: Seen,
        slots: int = 16,
        looked_at: int = 8,
        weight: float = 1.0,
        ramp_draws: int = 200,
        temperature: float = 1.0,
        decay: float = 0.7,
    ) -> None:
        """Hold an empty memory.

        Args:
            seen: Known pairs.
            slots: S.
            looked_at: Slots drawn, with replacement, to choose among.
            weight: How much one standard deviation adds once ramped up.
            ramp_draws: Batches over which the weight grows from zero, since variances mean nothing at first.
            temperature: Of the refresh; low keeps the hardest.
            decay: Of the averages over visits, in (0, 1).
        """
        self.name = f"variance memory of {slots}"
        self.proposal = Proposal.uniform(seen)
        self.slots, self.looked_at, self.weight = slots, looked_at, weight
        self.ramp_draws, self.temperature, self.decay = ramp_draws, temperature, decay
        self.memory_US = torch.full((seen.num_users, slots), -1)
        self.mean_US = torch.zeros(seen.num_users, slots)
        self.variance_US = torch.zeros(seen.num_users, slots)
        self.num_draws = 0

    def draw(self, positives: Positives, current: CurrentVectors, num: int, generator: torch.Generator) -> Negatives:
        """Return items as they are; see `NegativeSampler`. A user twice in a batch keeps the later refresh."""
        fixed, user_idx_B = current.detached(), positives.user_idx_B
        memory_BS = self._filled(user_idx_B, generator)
        criterion, chance = self._criterion(positives, fixed, memory_BS)
        looked_at = torch.randint(self.slots, (len(user_idx_B), num, self.looked_at), generator=generator)
        values = criterion[:, None].expand(-1, num, -1).gather(2, looked_at)
        slot_BN = looked_at.gather(2, values.argmax(dim=2, keepdim=True))[:, :, 0]
        picked = memory_BS.gather(1, slot_BN)
        self._refresh(user_idx_B, fixed, memory_BS, chance, generator)
        self.num_draws += 1
        size, looks = torch.tensor(self.slots), self.looked_at
        return Negatives(
            current, positives, picked[:, :, None], lambda: log_p_of_rank(*ranks(criterion, slot_BN), size, looks, 1)
        )

    def _filled(self, user_idx_B: Tensor, generator: torch.Generator) -> Tensor:
        new = torch.unique(user_idx_B[self.memory_US[user_idx_B, 0] < 0])
        if len(new):
            self.memory_US[new] = self.proposal.draw(new, self.slots, generator)
        return self.memory_US[user_idx_B]

    def _criterion(self, positives: Positives, fixed: CurrentVectors, memory_BS: Tensor) -> tuple[Tensor, Tensor]:
        positive = fixed.scores(fixed.items_ID[positives.item_idx_B][:, None])
        chance_BS = torch.sigmoid(fixed.scores(fixed.items_ID[memory_BS]) - positive)
        deviation = self.variance_US[positives.user_idx_B].sqrt()
        return chance_BS + self.weight * min(1.0, self.num_draws / self.ramp_draws) * deviation, chance_BS

    def _refresh(
        self, user_idx_B: Tensor, fixed: CurrentVectors, memory_BS: Tensor, chance_BS: Tensor, rng: torch.Generator
    ) -> None:
        """Note this visit's chances, then let fresh candidates compete for the slots.

        The largest of score plus Gumbel noise are a draw in proportion to exp(score), without repetition.
        """
        mean_BS, variance_BS = self._averages(user_idx_B, chance_BS)
        fresh = self.proposal.draw(user_idx_B, self.slots, rng)
        item_idx = torch.cat([memory_BS, fresh], dim=1)
        uniform = torch.rand(item_idx.shape, generator=rng).clamp(1e-12, 1 - 1e-7)
        noise = -(-uniform.log()).log()
        kept = (fixed.scores(fixed.items_ID[item_idx]) / self.temperature + noise).topk(self.slots, dim=1).indices
        rows = last_rows(user_idx_B, len(self.memory_US))
        kept, users, none = kept[rows], user_idx_B[rows], torch.zeros_like(mean_BS)
        self.memory_US[users] = item_idx[rows].gather(1, kept)
        self.mean_US[users] = torch.cat([mean_BS, none], 1)[rows].gather(1, kept)
        self.variance_US[users] = torch.cat([variance_BS, none], 1)[rows].gather(1, kept)

    def _averages(self, user_idx_B: Tensor, chance_BS: Tensor) -> tuple[Tensor, Tensor]:
        """Return the moving mean and variance with this visit's chances; a mean of 0 marks a slot never looked at."""
        mean_BS, variance_BS = self.mean_US[user_idx_B], self.variance_US[user_idx_B]
        off, is_new = chance_BS - mean_BS, mean_BS == 0
        moved = self.decay * (variance_BS + (1 - self.decay) * off.square())
        mean_BS = torch.where(is_new, chance_BS, mean_BS + (1 - self.decay) * off)
        return mean_BS, torch.where(is_new, variance_BS, moved)


def last_rows(user_idx_B: Tensor, num_users: int) -> Tensor:
    """Return the ascending rows of a batch that are the last of their user: which write wins must not be left open."""
    row_B = torch.arange(len(user_idx_B))
    last_U = torch.full((num_users,), -1).scatter_reduce_(0, user_idx_B, row_B, "amax")
    return (last_U[user_idx_B] == row_B).nonzero()[:, 0]
