"""Ratios and medians of timings."""

import pytest

from training.bench.shared.timing import Timing, samples_each, seconds_each, speed_table


def test_ratio_follows_the_unit():
    fast = Timing(what="x", unit="users/s", ours=200.0)
    short = Timing(what="x", unit="ms", ours=2.0)
    assert fast.times_better_than(100.0) == pytest.approx(2.0)
    assert short.times_better_than(4.0) == pytest.approx(2.0)
    assert short.times_better_than(1.0) == pytest.approx(0.5)


def test_calls_take_turns_and_the_first_turn_is_not_counted():
    order = []
    taken = seconds_each({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, repeats=3)
    assert order == ["a", "b"] * 4
    assert set(taken) == {"a", "b"}
    assert all(value >= 0 for value in taken.values())


def test_table_states_ours_others_and_ratios():
    asked = {"target": 3.0, "times": {"SDK": 5}}
    line = Timing(what="lookup", unit="ms", ours=2.0, incumbents={"SDK": 8.0}, limits={"mapped": 1.0}, **asked)
    large = Timing(what="encoding", unit="users/s", ours=12_345.0, target=15_000.0)
    lines = speed_table([line, large], {"numpy": "2"}).splitlines()
    assert "numpy 2" in lines[0]
    assert lines[4] == "| lookup | ms | 2 | ≤ 3: met; ≥ 5 × SDK: **not met** | SDK 8 (× 4) | mapped 1 (× 0.5) |"
    assert lines[5] == "| encoding | users/s | 12.3 k | ≥ 15.0 k: **not met** | – | – |"
    assert lines[7] == "1 of 3 targets are met."


def test_a_table_without_targets_counts_none():
    assert "target" not in speed_table([Timing(what="x", unit="s", ours=1.0)], {}).splitlines()[-1]


def test_of_several_calls_in_a_row_the_first_is_not_counted():
    order = []
    calls = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    taken = samples_each(calls, repeats=2, in_a_row=3)
    assert order == ["a", "a", "a", "b", "b", "b"] * 3
    assert {name: len(samples) for name, samples in taken.items()} == {"a": 4, "b": 4}


def test_a_target_is_met_when_reached():
    assert Timing(what="x", unit="ms", ours=1.5, target=1.5).targets() == {"≤ 1.5": True}
    assert Timing(what="x", unit="rows/s", ours=9.0, target=10.0).targets() == {"≥ 10": False}
    times = Timing(what="x", unit="rows/s", ours=50.0, incumbents={"SDK": 10.0}, times={"SDK": 5}).targets()
    assert times == {"≥ 5 × SDK": True}
