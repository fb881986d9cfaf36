"""The search whole: what it drops, when it stops, where the retraining starts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.sampler_search.world import TRAINING, halves, make_model
from training.reproducible import deterministic
from training.sampler_search.sampled_ranking import SampledTraining, fit_sampled
from training.sampler_search.search import SamplerSearchConfig, num_kept, prune, retrain, search_samplers, search_stage
from training.sampler_search.validation import HeldOut
from training.samplers.candidates import samplers_of

NAMES = ("uniform", "popularity^1", "hardest of 8")
CONFIG = SamplerSearchConfig(candidates=NAMES, training=TRAINING, round_epochs=3, seed=1)
FROZEN = replace(TRAINING, max_epochs=0)


def _frozen(training):
    training.config = FROZEN
    return training


class Scripted:
    """A method with fixed weights and validations."""

    def __init__(self, weights, values, least=1):
        self.names, self._weights, self.values = [f"s{n}" for n in range(len(weights))], list(weights), list(values)
        self.advanced, self.least = [], least

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


def test_pruning_leaves_what_the_method_asks_for():
    method = Scripted([5, 4, 3], [], least=2)
    assert [step.dropped for step in prune(method, lambda model: 0.5, CONFIG)] == [("s2",)]
    assert prune(Scripted([5, 4], [], least=2), lambda model: 0.5, CONFIG) == []


@pytest.mark.parametrize(("method", "rounds"), [("bandit", [3]), ("second_order", [3, 2]), ("naive", [3, 2])])
def test_every_method_ends_with_one_sampler_and_a_better_model(method, rounds):
    known, held_out = halves()
    choice = search_samplers(make_model, known, held_out, replace(CONFIG, method=method, patience=9))
    assert list(choice.weights.values()) == [1.0]
    assert set(choice.weights) <= set(NAMES)
    assert [len(step.weights) for step in choice.searched.rounds] == rounds
    assert choice.fitted.value > 0.3
    assert choice.cpu_seconds == choice.searched.cpu_seconds + choice.retrain_cpu_seconds


def test_a_survivor_of_the_bandit_ends_where_it_would_have_ended_alone():
    known, held_out = halves()
    config = replace(CONFIG, training=replace(TRAINING, max_epochs=40, patience=40))
    with deterministic(1):
        choice = search_samplers(make_model, known, held_out, config)
        (name,) = choice.weights
        alone = SampledTraining(make_model(), known, samplers_of(known, (name,)), config.training, config.seed)
        fitted = fit_sampled(alone, torch.ones(1), HeldOut(known.matrix(), held_out.matrix()).ndcg)
    assert choice.fitted.value == pytest.approx(fitted.value, abs=0.01)


def test_the_contender_that_ends_best_is_chosen_whichever_led_the_search():
    known, held_out = halves()
    searched = search_stage(make_model, known, held_out, CONFIG)
    assert len(searched.contenders) == 2
    turned = replace(searched, contenders=searched.contenders[::-1])
    found = [retrain(one, make_model, known, held_out, CONFIG) for one in (searched, turned)]
    assert found[0].weights == found[1].weights
    assert found[0].fitted == found[1].fitted


def test_retraining_starts_from_the_search_or_anew():
    known, held_out = halves()
    searched = search_stage(make_model, known, held_out, CONFIG)
    stopped = [replace(one, training=_frozen(one.training)) for one in searched.contenders]
    searched, frozen = replace(searched, contenders=tuple(stopped)), replace(CONFIG, training=FROZEN)
    inherited = retrain(searched, make_model, known, held_out, frozen)
    anew = retrain(searched, make_model, known, held_out, replace(frozen, inherit=False))
    assert torch.equal(inherited.model.item_table, stopped[0].training.model.item_table)
    assert torch.equal(anew.model.item_table, make_model().item_table)
    assert inherited.fitted.value > anew.fitted.value


def test_retraining_leaves_the_searched_parameters_as_they_were():
    known, held_out = halves()
    searched = search_stage(make_model, known, held_out, CONFIG)
    tables = [one.training.model.item_table for one in searched.contenders]
    before = [table.detach().clone() for table in tables]
    retrain(searched, make_model, known, held_out, CONFIG)
    assert all(torch.equal(table, old) for table, old in zip(tables, before, strict=True))


def test_equal_seeds_choose_alike():
    known, held_out = halves()
    found = []
    for _ in range(2):
        with deterministic(3):
            found.append(search_stage(make_model, known, held_out, CONFIG))
    assert found[0].rounds == found[1].rounds
    first, second = ([one.training.model.item_table for one in searched.contenders] for searched in found)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
