"""Hard draws by score: the order statistics of n uniform proposals, checked by hand and by frequency."""

import itertools
import math

import pytest
import torch

from tests.training.samplers import contract
from tests.training.samplers.contract import StatedFrequencyContract
from training.samplers.dynamic import DynamicSampler, log_p_of_rank, ranks
from training.samplers.negative import CurrentVectors


class TestHardestOfThree(StatedFrequencyContract):
    def sampler(self):
        return DynamicSampler(contract.seen(), 3)


class TestTopTwoOfFour(StatedFrequencyContract):
    def sampler(self):
        return DynamicSampler(contract.seen(), 4, 2)


class TestAllEqual(StatedFrequencyContract):
    """Ties share what falls to them: with equal scores the hardest is a uniform draw."""

    def sampler(self):
        return DynamicSampler(contract.seen(), 3)

    def drawn(self, batch=None, num=4, seed=0, **more):
        batch = batch or contract.positives()
        current = contract.vectors(batch, **more)
        level = CurrentVectors(torch.zeros_like(current.users_BD), current.items_ID)
        return self.sampler().draw(batch, level, num, contract.rng(seed))


def test_many_proposals_find_the_best_item_not_met():
    batch = contract.positives_of(1, 20)
    current = contract.vectors(batch)
    drawn = DynamicSampler(contract.seen(), 64).draw(batch, current, 1, contract.rng())
    scores = current.catalogue_scores()[0]
    scores[[0, 1]] = -torch.inf
    assert drawn.item_idx.unique().tolist() == [int(scores.argmax())]


@pytest.mark.parametrize(("proposals", "top"), [(1, 1), (2, 1), (3, 1), (3, 2), (3, 3)])
def test_the_formula_agrees_with_listing_every_outcome(proposals, top):
    """Four candidates with ranks 0 (best) to 3; every tuple of proposals is equally likely, as is each of the top."""
    expected = [0.0] * 4
    for outcome in itertools.product(range(4), repeat=proposals):
        for rank in sorted(outcome)[:top]:
            expected[rank] += 1 / (4**proposals * top)
    found = log_p_of_rank(torch.arange(4), torch.ones(4), torch.tensor(4), proposals, top)
    assert found.exp().tolist() == pytest.approx(expected)


def test_ranks_count_what_is_above_and_level():
    scores = torch.tensor([[3.0, 1.0, 3.0, 2.0]])
    higher, equal = ranks(scores, torch.tensor([[3, 0, 1]]))
    assert higher.tolist() == [[2, 0, 3]]
    assert equal.tolist() == [[1, 2, 1]]


def test_sizes_that_make_no_sense_are_refused_and_names_tell_them():
    with pytest.raises(ValueError, match="expected top within 1 and 4 proposals, found 5"):
        DynamicSampler(contract.seen(), 4, 5)
    assert DynamicSampler(contract.seen(), 4).name == "hardest of 4"
    assert DynamicSampler(contract.seen(), 8, 4).name == "top 4 of 8"


def test_one_proposal_is_the_uniform_sampler():
    batch = contract.positives_of(3, 10)
    drawn = DynamicSampler(contract.seen(), 1).draw(batch, contract.vectors(batch), 1, contract.rng())
    assert torch.allclose(drawn.log_p, torch.full((10, 1), -math.log(3)))
