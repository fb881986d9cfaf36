"""One way of training at a time, with what a table needs of it."""

import pytest

from tests.training.sampler_search.world import TRAINING, halves, make_model
from training.bench.samplers.runs import LOSS_MIX, RUNS, judged, run_case
from training.samplers.candidates import CANDIDATES

KNOWN, HELD_OUT = halves()
HALVES = (KNOWN, HELD_OUT.where(HELD_OUT.item_idx % 2 == 0), HELD_OUT.where(HELD_OUT.item_idx % 2 == 1))


@pytest.mark.parametrize("name", ["uniform", LOSS_MIX, "bandit"])
def test_a_run_is_judged_on_the_test_and_costs_time(name):
    found = run_case(name, make_model, HALVES, TRAINING, 1)
    num_users = len(set(HALVES[2].user_idx.tolist()))
    assert len(found["ndcg"]) == len(found["recall"]) == num_users
    assert found["cpu_seconds"] > 0
    assert sum(found["weights"].values()) == pytest.approx(1)
    assert ("anew" in found) is (name == "bandit")


def test_the_same_seed_gives_the_same_figures():
    first, second = (run_case("hardest of 8", make_model, HALVES, TRAINING, 1) for _ in range(2))
    assert first["ndcg"] == second["ndcg"]
    assert first["value"] == second["value"]


def test_pairs_that_were_chosen_by_are_not_ranked():
    everything = judged(make_model(), (KNOWN, HALVES[1], HALVES[2]))
    without = judged(make_model(), (KNOWN, HALVES[1].where(HALVES[1].item_idx < 0), HALVES[2]))
    assert sum(everything["ndcg"]) > sum(without["ndcg"])


def test_every_sampler_is_run():
    assert set(CANDIDATES) < set(RUNS)
