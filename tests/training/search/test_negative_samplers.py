"""The search whole: what it drops, when it stops, where the retraining starts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.search.sampler_world import TRAINING, halves, make_model
from training.models.reproducible import deterministic
from training.search.negative_samplers import (
    SamplerSearchConfig,
    num_kept,
    prune,
    retrain,
    search_samplers,
    search_stage,
)

NAMES = ("uniform", "popularity^1", "hardest of 8")
CONFIG = SamplerSearchConfig(candidates=NAMES, training=TRAINING, round_epochs=3, seed=1)


class Scripted:
    """A method with fixed weights and validations."""

    def __init__(self, weights, values):
        self.names, self._weights, self.values = [f"s{n}" for n in range(len(weights))], list(weights), list(values)
        self.advanced = []

    def advance(self, num_epochs):
        self.advanced.append(num_epochs)

    def weights(self):
        return np.array(self._weights) / sum(self._weights)

    def drop(self, place):
        del self.names[place], self._weights[place]

    def model(self):
        return None


@pytest.mark.parametrize(("num", "kept"), [(9, 5), (5, 3), (3, 2), (2, 1)])
def test_half_stays_rounded_up_but_never_all(num, kept):
    assert num_kept(num, 0.5) == kept
    assert num_kept(num, 0.999) == num - 1


def test_the_least_weights_are_dropped_and_rounds_lengthen_until_one_is_left():
    method = Scripted([4, 1, 3, 2], [])
    values = iter([0.1, 0.2])
    rounds = prune(method, lambda model: next(values), replace(CONFIG, round_epochs=8))
    assert [step.dropped for step in rounds] == [("s1", "s3"), ("s2",)]
    assert method.advanced == [2, 4]
    assert method.names == ["s0"]
    assert rounds[0].weights["s0"] == pytest.approx(0.4)


def test_pruning_stops_when_validation_stalls():
    method = Scripted([5, 4, 3, 2, 1], [])
    values = iter([0.5, 0.4, 0.3, 0.2])
    rounds = prune(method, lambda model: next(values), replace(CONFIG, keep=0.9, patience=2))
    assert len(rounds) == 3
    assert len(method.names) == 2


@pytest.mark.parametrize("method", ["bandit", "second_order", "naive"])
def test_every_method_ends_with_one_sampler_and_a_better_model(method):
    known, held_out = halves()
    choice = search_samplers(make_model, known, held_out, replace(CONFIG, method=method, patience=9))
    assert list(choice.searched.weights.values()) == [1.0]
    assert choice.searched.best in NAMES
    assert [len(step.weights) for step in choice.searched.rounds] == [3, 2]
    assert choice.fitted.value > 0.3
    assert choice.cpu_seconds == choice.searched.cpu_seconds + choice.retrain_cpu_seconds


def test_retraining_starts_from_the_search_or_anew():
    known, held_out = halves()
    searched = search_stage(make_model, known, held_out, CONFIG)
    frozen = replace(CONFIG, training=replace(TRAINING, max_epochs=0))
    inherited = retrain(searched, make_model, known, held_out, frozen)
    anew = retrain(searched, make_model, known, held_out, replace(frozen, inherit=False))
    assert torch.equal(inherited.model.item_table, searched.model.item_table)
    assert torch.equal(anew.model.item_table, make_model().item_table)
    assert inherited.fitted.value > anew.fitted.value


def test_retraining_leaves_the_searched_parameters_as_they_were():
    known, held_out = halves()
    searched = search_stage(make_model, known, held_out, CONFIG)
    before = searched.model.item_table.detach().clone()
    retrain(searched, make_model, known, held_out, CONFIG)
    assert torch.equal(searched.model.item_table, before)


def test_equal_seeds_choose_alike():
    known, held_out = halves()
    found = []
    for _ in range(2):
        with deterministic(3):
            found.append(search_stage(make_model, known, held_out, CONFIG))
    assert found[0].rounds == found[1].rounds
    assert torch.equal(found[0].model.item_table, found[1].model.item_table)
