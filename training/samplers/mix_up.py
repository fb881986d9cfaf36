"""Make hard negatives that are no items: mix some of the positive into candidates, keep the hardest, layer by layer.

After MixGCF (Huang et al., KDD 2021): positive mixing and hop mixing. The hardest is judged by the user's final vector
at every layer, where the paper takes the user's vector of that layer.

Shape legend: B positives, N negatives of each, P proposals of each, L layers, D width.
"""

from __future__ import annotations

import torch

from training.samplers.negative import CurrentVectors, Negatives, Positives
from training.samplers.proposals import Proposal
from training.samplers.seen import Seen


class MixUpSampler:
    """Mix a random share of the positive into each of P uniform proposals, and keep each layer's hardest mixture.

    States the log probability of its *proposal*, uniform among the user's unseen items: the density of a mixture is not
    over items, so that it must not serve as a logQ correction.
    """

    def __init__(self, seen: Seen, proposals: int = 16, most: float = 1.0) -> None:
        """Hold the number of proposals, and the largest share of the positive, in (0, 1]; shares are uniform below."""
        self.num_proposals, self.most = proposals, most
        self.name = f"mix-up of {proposals}"
        self.proposal = Proposal.uniform(seen)

    def draw(self, positives: Positives, current: CurrentVectors, num: int, generator: torch.Generator) -> Negatives:
        """Return mixtures without ids; see `NegativeSampler`."""
        user_idx_B, layers = positives.user_idx_B, current.layers.detach()
        total = num * self.num_proposals
        proposed = self.proposal.draw(user_idx_B, total, generator)
        shape = (*proposed.shape, layers.shape[0])
        shares = torch.rand(shape, generator=generator) * self.most
        fixed = CurrentVectors(current.users_BD.detach(), current.items_ID.detach())
        score_of_negative = _layer_scores(fixed, layers[:, proposed])
        score_of_positive = _layer_scores(fixed, layers[:, positives.item_idx_B[:, None]])
        hardness = torch.lerp(score_of_negative, score_of_positive, shares)
        best = hardness.view(-1, num, self.num_proposals, shape[-1]).argmax(dim=2)
        picked = proposed.view(-1, num, self.num_proposals).gather(2, best)
        share = shares.view(-1, num, self.num_proposals, shape[-1]).gather(2, best[:, :, None])[:, :, 0]
        log_p = self.proposal.log_p
        return Negatives(
            current, positives, picked, lambda: log_p(user_idx_B[:, None], picked[:, :, 0]), positive_share_BNL=share
        )


def _layer_scores(current: CurrentVectors, layers_LBPD: torch.Tensor) -> torch.Tensor:
    """Return float[B, P, L]."""
    return torch.stack([current.scores(layer) for layer in layers_LBPD], dim=2)
