"""Run measurements side by side, each on one core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

Map = Callable[..., Iterator[Any]]
"""Called as the built-in `map`; results come in the order of the arguments."""


@contextmanager
def side_by_side(workers: int) -> Iterator[Map]:
    """Give a `map` over `workers` processes within the block, or the plain one for a single worker.

    Processes are spawned, not forked: torch's threads do not survive a fork. What is mapped must be picklable.
    """
    if workers == 1:
        yield map
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield pool.map
