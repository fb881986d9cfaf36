"""Mixed-up negatives: between candidate and positive, the hardest of several, layer by layer."""

import math

import torch

from tests.training.samplers import contract
from tests.training.samplers.contract import SamplerContract
from training.samplers.mix_up import MixUpSampler
from training.samplers.negative import CurrentVectors


class TestMixUp(SamplerContract):
    returns_items = False

    def sampler(self):
        return MixUpSampler(contract.seen(), 4)

    def test_a_mixture_lies_between_its_candidate_and_the_positive(self):
        drawn = self.drawn()
        items = drawn.current.items_ID
        own, positive = items[drawn.picked_BNL[:, :, 0]], items[drawn.positives.item_idx_B][:, None]
        share = drawn.positive_share_BNL
        assert ((share >= 0) & (share <= 1)).all()
        assert torch.allclose(drawn.vectors, share * positive + (1 - share) * own, atol=1e-6)

    def test_the_stated_probability_is_that_of_the_proposal(self):
        drawn = self.drawn(contract.positives_of(1, 3))
        assert torch.allclose(drawn.log_p, torch.full((3, 4), -math.log(4)))


def test_more_proposals_give_harder_mixtures():
    batch = contract.positives_of(1, 300)
    current = contract.vectors(batch)

    def mean_score(proposals):
        drawn = MixUpSampler(contract.seen(), proposals).draw(batch, current, 1, contract.rng())
        return float(current.scores(drawn.vectors).mean().detach())

    assert mean_score(1) < mean_score(4) < mean_score(16)


def test_every_layer_picks_its_own_hardest_and_the_mixture_is_their_mean():
    batch = contract.positives_of(1, 50)
    layers = torch.zeros(2, contract.NUM_ITEMS, contract.WIDTH)
    layers[0, 2], layers[1, 3] = 1.0, 1.0
    current = CurrentVectors(torch.ones(50, contract.WIDTH), layers.mean(0), layers)
    drawn = MixUpSampler(contract.seen(), 64, most=1e-6).draw(batch, current, 1, contract.rng())
    assert drawn.picked_BNL[:, 0].unique(dim=0).tolist() == [[2, 3]]
    assert torch.allclose(drawn.vectors, torch.ones(50, 1, contract.WIDTH), atol=1e-4)
