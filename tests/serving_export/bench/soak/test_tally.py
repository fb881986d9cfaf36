"""Answers are counted by kind; what may not be is kept, and a cut connection counts apart while a worker is killed."""

from __future__ import annotations

import math

import pytest

from serving_export.bench.soak import tally as of
from serving_export.bench.soak.tally import BROKEN_KEPT, Tally


def test_expected_answers_refusals_and_errors_are_told_apart() -> None:
    tally = Tally()
    assert tally.answered("read", 0.002, 200, 200, b"")
    assert tally.answered("read", 0.004, 200, 200, b"")
    assert tally.answered("foreign", 0.001, 409, 409, b"")
    assert not tally.broken
    assert not tally.answered("foreign", 0.001, 200, 409, b"vectors of another space")
    assert not tally.answered("read", 0.001, 500, 200, b"oops")
    read, foreign = tally.kinds["read"], tally.kinds["foreign"]
    assert (len(read.seconds), read.errors, foreign.refusals, foreign.errors) == (2, 1, 1, 1)
    assert read.quantile(0.5) == pytest.approx(3.0)
    assert math.isnan(foreign.quantile(0.5))
    assert len(tally.broken) == 2
    assert "oops" in tally.broken[1]


def test_a_cut_connection_is_an_error_except_around_a_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally()
    tally.lost("read", ConnectionResetError())
    with tally.killing():
        tally.lost("read", ConnectionResetError())
    tally.lost("read", ConnectionResetError())
    monkeypatch.setattr(of, "KILL_FELT_S", 0.0)
    tally.lost("read", ConnectionResetError())
    assert (tally.kinds["read"].resets, tally.kinds["read"].errors) == (2, 2)
    assert len(tally.broken) == 2


def test_a_server_may_be_unavailable_around_a_kill_and_at_no_other_time(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally()
    assert not tally.answered("events", 0.1, 503, 202, b"loading")
    assert len(tally.broken) == 1
    with tally.killing():
        assert not tally.answered("events", 0.1, 503, 202, b"loading")
        assert not tally.answered("events", 0.1, 500, 202, b"oops")
    assert (tally.kinds["events"].resets, tally.kinds["events"].errors) == (1, 2)
    assert len(tally.broken) == 2


def test_only_the_first_broken_lines_are_kept() -> None:
    tally = Tally()
    for number in range(2 * BROKEN_KEPT):
        tally.fail(str(number))
    assert tally.broken == [str(number) for number in range(BROKEN_KEPT)]
