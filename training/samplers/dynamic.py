"""Draw hard negatives by the model's own scores: the hardest of n (DNS), or one of the M hardest of n (DNS(M, N)).

Dynamic negative sampling: Zhang et al., SIGIR 2013; DNS(M, N): Shi et al., WWW 2023 (arXiv 2301.10442).

Shape legend: B positives, N negatives of each, P proposals of each, I items, D width.
"""

from __future__ import annotations

from math import comb

import torch
from torch import Tensor

from training.samplers.negative import CurrentVectors, Negatives, Positives
from training.samplers.proposals import Proposal
from training.samplers.seen import Seen


class DynamicSampler:
    """Draw `proposals` items new to the user uniformly, keep the `top` with the best scores, return one of them.

    States log p(i | u, current vectors) exactly, which takes the item's rank among all that the user has not met.
    """

    def __init__(self, seen: Seen, proposals: int = 16, top: int = 1) -> None:
        """Hold the sizes; `top` = 1 is the hardest of n.

        Raises:
            ValueError: `top` is not within [1, proposals].
        """
        if not 1 <= top <= proposals:
            raise ValueError(f"expected top within 1 and {proposals} proposals, found {top}")
        self.num_proposals, self.top = proposals, top
        self.name = f"hardest of {proposals}" if top == 1 else f"top {top} of {proposals}"
        self.proposal = Proposal.uniform(seen)

    def draw(self, positives: Positives, current: CurrentVectors, num: int, generator: torch.Generator) -> Negatives:
        """Return items as they are; see `NegativeSampler`."""
        user_idx_B, fixed = positives.user_idx_B, current.detached()
        proposed = self.proposal.draw(user_idx_B, num * self.num_proposals, generator)
        scores = fixed.scores(fixed.items_ID[proposed]).view(-1, num, self.num_proposals)
        best = scores.topk(self.top, dim=2).indices
        place = torch.randint(self.top, (*best.shape[:2], 1), generator=generator)
        picked = proposed.view(scores.shape).gather(2, best.gather(2, place))
        return Negatives(current, positives, picked, lambda: self._log_p(user_idx_B, fixed, picked[:, :, 0]))

    def _log_p(self, user_idx_B: Tensor, current: CurrentVectors, picked_BN: Tensor) -> Tensor:
        every_item = torch.arange(self.proposal.seen.num_items)
        barred = self.proposal.seen.contains(user_idx_B[:, None], every_item)
        barred &= ~self.proposal.exhausted_U[user_idx_B][:, None]
        scores = current.catalogue_scores().masked_fill(barred, -torch.inf)
        higher, equal = ranks(scores, picked_BN)
        return log_p_of_rank(higher, equal, (~barred).sum(1)[:, None], self.num_proposals, self.top)


def ranks(scores_BC: Tensor, picked_BN: Tensor) -> tuple[Tensor, Tensor]:
    """Return int64[B, N] each: how many of the C score above each picked one, and how many equal it.

    A picked one equals itself, so that the second is at least 1.
    """
    chosen = scores_BC.gather(1, picked_BN)
    higher = [(scores_BC > column[:, None]).sum(1) for column in chosen.T]
    equal = [(scores_BC == column[:, None]).sum(1) for column in chosen.T]
    return torch.stack(higher, 1), torch.stack(equal, 1)


def log_p_of_rank(higher: Tensor, equal: Tensor, size: Tensor, proposals: int, top: int) -> Tensor:
    """Return the log probability of one of the `top` best of `proposals` uniform draws being a given candidate.

    The k-th best of n draws lies below the x best of C candidates when fewer than k draws fell among those x; the mean
    over k <= M of that binomial probability, taken at both edges of the candidate's ties, is shared by the ties.

    Args:
        higher: Number of candidates that score above.
        equal: Number that score the same, at least 1.
        size: C, the number of candidates.
        proposals: n.
        top: M.
    """
    size = size.double()
    share = _mean_survival(higher / size, proposals, top) - _mean_survival((higher + equal) / size, proposals, top)
    return (share / equal).log().float()


def _mean_survival(x: Tensor, proposals: int, top: int) -> Tensor:
    terms = [(top - k) * comb(proposals, k) * x**k * (1 - x) ** (proposals - k) for k in range(top)]
    return torch.stack(terms).sum(0) / top
