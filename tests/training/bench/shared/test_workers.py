from __future__ import annotations

import os

import pytest

from training.bench.shared.workers import side_by_side


def _told(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_from_this_process_or_others(workers: int) -> None:
    with side_by_side(workers) as run:
        told = list(run(_told, [3, 1, 2]))
    assert [square for square, _ in told] == [9, 1, 4]
    assert (os.getpid() in {process for _, process in told}) == (workers == 1)


def test_an_error_of_a_measurement_is_raised() -> None:
    with side_by_side(2) as run, pytest.raises(ValueError, match="invalid literal"):
        list(run(int, ["1", "x"]))
