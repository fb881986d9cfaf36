"""The memory of candidates: what it draws, what it states, and what it remembers."""

import torch

from tests.training.samplers import contract
from tests.training.samplers.contract import SamplerContract
from training.samplers.variance_memory import VarianceMemorySampler, last_rows


class TestVarianceMemory(SamplerContract):
    def sampler(self):
        return VarianceMemorySampler(contract.seen(), slots=4, looked_at=2)

    def test_slots_come_up_as_often_as_stated_given_the_memory(self):
        sampler = self.sampler()
        batch = contract.positives_of(1, 6000)
        drawn = sampler.draw(batch, contract.vectors(batch), 1, contract.rng())
        for item in drawn.item_idx.unique():
            rows = drawn.item_idx == item
            num_slots = round(float(rows.float().mean() / drawn.log_p[rows][0].exp()))
            assert num_slots >= 1
            assert abs(float(rows.float().mean()) - num_slots * float(drawn.log_p[rows][0].exp())) < 0.03


def test_the_memory_comes_to_hold_what_scores_high():
    sampler = VarianceMemorySampler(contract.seen(), slots=2, looked_at=2, temperature=0.01)
    batch = contract.positives_of(1, 4)
    current = contract.vectors(batch)
    generator = contract.rng()
    for _ in range(20):
        sampler.draw(batch, current, 1, generator)
    scores = current.catalogue_scores()[0]
    scores[[0, 1]] = -torch.inf
    assert set(sampler.memory_US[1].tolist()) == {int(scores.argmax())}


def test_candidates_whose_score_varies_are_preferred_to_equal_ones_that_do_not():
    sampler = VarianceMemorySampler(contract.seen(), slots=2, looked_at=16, ramp_draws=1)
    sampler.memory_US[1] = torch.tensor([2, 3])
    sampler.mean_US[1] = 0.5
    sampler.variance_US[1] = torch.tensor([0.0, 0.04])
    sampler.num_draws = 1
    batch = contract.positives_of(1, 30)
    current = contract.vectors(batch)
    current.items_ID.data[2] = current.items_ID.data[3]
    drawn = sampler.draw(batch, current, 1, contract.rng())
    assert drawn.item_idx.unique().tolist() == [3]


def test_averages_follow_the_visits():
    sampler = VarianceMemorySampler(contract.seen(), slots=2, looked_at=1, decay=0.5)
    user = torch.tensor([1])
    mean, variance = sampler._averages(user, torch.tensor([[0.2, 0.6]]))
    assert mean.tolist() == [[0.20000000298023224, 0.6000000238418579]]
    assert variance.tolist() == [[0.0, 0.0]]
    sampler.mean_US[1], sampler.variance_US[1] = mean[0], variance[0]
    mean, variance = sampler._averages(user, torch.tensor([[0.4, 0.6]]))
    assert torch.allclose(mean, torch.tensor([[0.3, 0.6]]))
    assert torch.allclose(variance, torch.tensor([[0.01, 0.0]]))


def test_of_a_user_met_twice_the_last_row_writes():
    assert last_rows(torch.tensor([3, 1, 3, 0, 1]), 5).tolist() == [2, 3, 4]
