"""Run torch, and the linear algebra of numpy and scipy, so that the same inputs and seed give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

NUM_THREADS = 1
"""Fixed, for equal bytes; one, because two that wait for each other on busy cores were ten times slower."""


@contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """Fix torch's seed and kernels, and the threads of torch and of BLAS, within the block; restore them after.

    Torch would also fill all memory that it takes with NaN, in case a kernel read what it had not written: that cost a
    fifth of a training step, and equal bytes are tested for without it.
    """
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    with torch.random.fork_rng(devices=[]), threadpool_limits(NUM_THREADS, "blas"):
        torch.manual_seed(seed)
        torch.set_num_threads(NUM_THREADS)
        torch.use_deterministic_algorithms(True)
        memory.fill_uninitialized_memory = False
        try:
            yield
        finally:
            memory.fill_uninitialized_memory = filled
            torch.use_deterministic_algorithms(strict)
            torch.set_num_threads(threads)
