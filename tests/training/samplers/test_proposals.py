"""Draws among items new to a user: exact probabilities, and the cases in which little or nothing is left."""

import math

import numpy as np
import pytest
import torch

from training.samplers import proposals as module
from training.samplers.proposals import Proposal
from training.samplers.seen import Seen


def _proposal(weights, known):
    users, items = (np.array(side, np.int64) for side in zip(*known, strict=True)) if known else (np.zeros(0),) * 2
    return Proposal(torch.tensor(weights), Seen(users, items, 2, len(weights)))


def test_probabilities_are_renormalised_over_what_is_left():
    proposal = _proposal([1.0, 1.0, 2.0], [(0, 2)])
    stated = proposal.log_p(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 2])).exp()
    assert stated.tolist() == pytest.approx([0.5, 0.5, 0.5])


def test_items_without_weight_are_never_drawn():
    drawn = _proposal([1.0, 0.0, 1.0], []).draw(torch.zeros(200, dtype=torch.int64), 2, torch.Generator())
    assert drawn.unique().tolist() == [0, 2]


@pytest.mark.parametrize("rounds", [0, 8])
def test_what_rejection_does_not_settle_is_drawn_exactly(monkeypatch, rounds):
    """All but a thousandth of q is barred; the two items left must share equally."""
    monkeypatch.setattr(module, "ROUNDS", rounds)
    proposal = _proposal([0.999, 0.0005, 0.0005], [(0, 0)])
    drawn = proposal.draw(torch.zeros(2000, dtype=torch.int64), 1, torch.Generator().manual_seed(1))
    shares = torch.bincount(drawn.flatten(), minlength=3) / 2000
    assert shares.tolist() == pytest.approx([0, 0.5, 0.5], abs=0.04)


def test_a_user_who_has_met_everything_is_drawn_from_the_whole():
    proposal = _proposal([1.0, 1.0], [(0, 0), (0, 1)])
    assert proposal.draw(torch.zeros(50, dtype=torch.int64), 1, torch.Generator()).unique().tolist() == [0, 1]
    assert float(proposal.log_p(torch.tensor(0), torch.tensor(1))) == pytest.approx(math.log(0.5))


def test_uniform_weighs_all_alike():
    proposal = Proposal.uniform(Seen.nothing(1, 4))
    assert proposal.q_I.tolist() == [0.25] * 4
