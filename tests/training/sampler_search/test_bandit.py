"""Arms that keep what they learn, weighed by their gain in validation."""

import math

import pytest
import torch

from tests.training.sampler_search.world import TRAINING, halves, make_model
from training.sampler_search.bandit import BanditConfig, BanditSearch
from training.sampler_search.sampled_ranking import SampledTraining
from training.sampler_search.validation import HeldOut
from training.samplers.candidates import samplers_of

NAMES = ("uniform", "popularity^1", "hardest of 8")


def _search(judge=None):
    known, held_out = halves()
    start = SampledTraining(make_model(), known, samplers_of(known, NAMES), TRAINING, 1)
    judge = judge or HeldOut(known.matrix(), held_out.matrix()).ndcg
    return BanditSearch(start, NAMES, judge, BanditConfig(temperature=0.5))


def test_arms_start_from_the_same_parameters_and_part():
    search = _search()
    tables = [arm.training.model.item_table for arm in search.arms]
    assert all(torch.equal(table, tables[0]) for table in tables)
    assert search.weights().tolist() == pytest.approx([1 / 3] * 3)
    search.advance(1)
    assert not torch.equal(tables[0], tables[2])


def test_weights_are_the_softmax_of_gains_over_the_largest():
    search = _search()
    for arm, gain in zip(search.arms, (0.1, 0.05, -0.05), strict=True):
        arm.gain = gain
    raised = [math.exp(gain / (0.5 * 0.1)) for gain in (0.1, 0.05, -0.05)]
    assert search.weights().tolist() == pytest.approx([value / sum(raised) for value in raised])


def test_an_arm_is_worth_its_best_validation_and_gives_those_parameters():
    values = iter([0.2, 0.5, 0.4, 0.1, 0.1, 0.1, 0.1])
    search = _search(lambda model: next(values))
    search.advance(2)
    assert [round(arm.gain, 3) for arm in search.arms] == [0.3, -0.1, -0.1]
    first = search.arms[0]
    assert not torch.equal(first.best["item_table"], first.training.model.item_table)
    assert torch.equal(search.model().item_table, first.best["item_table"])


def test_a_dropped_arm_is_gone():
    search = _search()
    search.advance(1)
    search.drop(0)
    assert search.names == ["popularity^1", "hardest of 8"]
    assert len(search.weights()) == len(search.arms) == 2


def test_finalists_come_best_first_with_their_own_optimizers():
    search = _search()
    search.advance(2)
    contenders = search.contenders()
    gains = dict(zip(search.names, (arm.gain for arm in search.arms), strict=True))
    assert [*(name for one in contenders for name in one.weights)] == sorted(gains, key=lambda n: -gains[n])[:2]
    moments = contenders[0].training.optimizer.state_dict()["state"]
    assert moments
    assert contenders[0].training.optimizer.param_groups[0]["params"][0] is next(
        contenders[0].training.model.parameters()
    )
