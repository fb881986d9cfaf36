"""The recorded choice: newest known wins, uniform without one, shares by hand."""

import numpy as np
import pytest

from tests.training.sampler_search.world import halves
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.sampler_search.choice import ChosenSampler, choice_path, chosen_sampler, record_choice
from training.settings import Settings

DAY = Partition.parse("2026-11-05")


def _settings(tmp_path):
    return Settings.from_env({"ATTUNE_HOME": str(tmp_path)})


def _chosen(day=DAY, **weights):
    return ChosenSampler(consumer="matching", partition=str(day), weights=weights or {"hardest of 8": 1.0})


def test_without_a_record_negatives_are_uniform(tmp_path):
    chosen = chosen_sampler(_settings(tmp_path), "matching", DAY)
    assert chosen == ChosenSampler(consumer="matching", partition="", weights={"uniform": 1.0})


def test_the_newest_choice_that_may_be_known_counts(tmp_path):
    settings = _settings(tmp_path)
    for days, name in ((0, "uniform"), (7, "in-batch"), (14, "hardest of 8")):
        record_choice(settings, _chosen(DAY.shift(days), **{name: 1.0}))
    found = {days: chosen_sampler(settings, "matching", DAY.shift(days)).weights for days in (-1, 0, 13, 14, 30)}
    assert found == {
        -1: {"uniform": 1.0},
        0: {"uniform": 1.0},
        13: {"in-batch": 1.0},
        14: {"hardest of 8": 1.0},
        30: {"hardest of 8": 1.0},
    }
    assert chosen_sampler(settings, "cold_start", DAY).partition == ""


def test_the_same_choice_leaves_the_same_bytes_and_no_draft(tmp_path):
    settings = _settings(tmp_path)
    path = record_choice(settings, _chosen())
    before = path.read_bytes()
    assert record_choice(settings, _chosen()) == path == choice_path(settings, "matching", DAY)
    assert path.read_bytes() == before
    assert [child.name for child in path.parent.iterdir()] == ["2026-11-05.json"]


def test_unknown_samplers_are_refused(tmp_path):
    with pytest.raises(AttuneError, match="found guess; search again"):
        record_choice(_settings(tmp_path), _chosen(guess=1.0))


def test_the_samplers_come_in_the_order_of_their_weights():
    chosen = _chosen(uniform=0.25, **{"hardest of 8": 0.75})
    known, _ = halves()
    assert [sampler.name for sampler in chosen.samplers(known)] == ["uniform", "hardest of 8"]
    assert chosen.weights_M.tolist() == [0.25, 0.75]


def test_shares_mix_powers_of_counts():
    shares = _chosen(uniform=0.5, **{"popularity^0.5": 0.5}).item_shares(np.array([4, 1, 0, 1]))
    assert shares.tolist() == pytest.approx([0.125 + 0.25, 0.125 + 0.125, 0.125, 0.125 + 0.125])
    assert _chosen(**{"in-batch": 1.0}).item_shares([3, 1]).tolist() == [0.75, 0.25]


def test_samplers_that_read_scores_have_no_shares():
    assert _chosen(**{"hardest of 8": 0.5, "uniform": 0.5}).item_shares([1, 1]) is None
    assert _chosen(uniform=1.0).item_shares([0, 0]) is None
