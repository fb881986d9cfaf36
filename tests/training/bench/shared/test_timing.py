"""Ratios and medians of timings."""

import pytest

from training.bench.shared.timing import Timing, seconds_each, speed_table


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
    line = Timing(what="lookup", unit="ms", ours=2.0, incumbents={"SDK": 8.0}, limits={"mapped": 1.0})
    large = Timing(what="encoding", unit="users/s", ours=12_345.0)
    lines = speed_table([line, large], {"numpy": "2"}).splitlines()
    assert "numpy 2" in lines[0]
    assert lines[4] == "| lookup | ms | 2 | SDK 8 (× 4) | mapped 1 (× 0.5) |"
    assert lines[5] == "| encoding | users/s | 12.3 k | – | – |"
