"""Uniform, popularity and in-batch draws against their stated probabilities."""

import math

import pytest
import torch

from tests.training.samplers import contract
from tests.training.samplers.contract import SamplerContract, StatedFrequencyContract
from training.samplers.negative import Positives
from training.samplers.static import InBatchSampler, PopularitySampler, UniformSampler


class TestUniform(StatedFrequencyContract):
    def sampler(self):
        return UniformSampler(contract.seen())

    def test_every_item_not_met_is_equally_likely(self):
        drawn = self.drawn(contract.positives_of(1, 3))
        assert torch.allclose(drawn.log_p, torch.full((3, 4), -math.log(4)))


@pytest.mark.parametrize("power", [0.5, 0.75, 1.0])
class TestPopularity:
    def test_odds_are_counts_to_the_power(self, power):
        sampler = PopularitySampler(contract.seen(), contract.counts(), power)
        batch = contract.positives_of(1, 200)
        drawn = sampler.draw(batch, contract.vectors(batch), 4, contract.rng())
        stated = {int(i): float(p) for i, p in zip(drawn.item_idx.flatten(), drawn.log_p.flatten(), strict=True)}
        assert set(stated) == {2, 3, 4, 5}
        assert stated[2] - stated[4] == pytest.approx(power * math.log(2 / 1), abs=1e-5)
        assert sum(map(math.exp, stated.values())) == pytest.approx(1)
        assert sampler.name == f"popularity^{power:g}"


class TestPopularityOne(StatedFrequencyContract):
    def sampler(self):
        return PopularitySampler(contract.seen(), contract.counts(), 1.0)


class TestPopularityHalf(StatedFrequencyContract):
    def sampler(self):
        return PopularitySampler(contract.seen(), contract.counts(), 0.5)


class TestInBatch(SamplerContract):
    def sampler(self):
        return InBatchSampler(contract.seen(), contract.counts())

    def test_only_items_of_the_batch_are_drawn(self):
        batch = Positives(torch.tensor([1, 2]), torch.tensor([0, 2]))
        drawn = self.drawn(batch, num=30)
        assert drawn.item_idx[0].unique().tolist() == [2]
        assert drawn.item_idx[1].unique().tolist() == [0]

    def test_the_marginal_is_the_items_share_of_what_the_user_has_not_met(self):
        drawn = self.drawn(contract.positives(), num=2)
        rows = (drawn.positives.user_idx_B[:, None] == 1) & (drawn.item_idx == 2)
        assert torch.allclose(drawn.log_p[rows].exp(), torch.tensor(2 / 6))

    def test_over_batches_items_come_up_as_often_as_stated(self):
        repeated = contract.positives()
        batch = Positives(repeated.user_idx_B.repeat(60), repeated.item_idx_B.repeat(60))
        drawn = self.drawn(batch, num=2)
        own = drawn.item_idx[batch.user_idx_B == 1].flatten()
        shares = torch.bincount(own, minlength=6) / len(own)
        assert shares.tolist() == pytest.approx([0, 0, 2 / 6, 2 / 6, 1 / 6, 1 / 6], abs=0.06)

    def test_a_batch_that_offers_nothing_new_still_gives_a_negative(self):
        batch = Positives(torch.tensor([1, 1]), torch.tensor([0, 1]))
        assert set(self.drawn(batch).item_idx.flatten().tolist()) <= {0, 1}
