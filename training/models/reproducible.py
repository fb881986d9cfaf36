"""Run torch so that the same inputs and seed give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

NUM_THREADS = 1
"""Fixed, for equal bytes; one, because two that wait for each other on busy cores were ten times slower."""


@contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """Fix torch's seed, number of threads and kernels within the block; restore them after."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(NUM_THREADS)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict)
            torch.set_num_threads(threads)
