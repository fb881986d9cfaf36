import pytest
import torch
from threadpoolctl import threadpool_info

from training.reproducible import NUM_THREADS, deterministic


def test_inside_the_same_seed_draws_the_same():
    with deterministic(5):
        first = torch.rand(3)
    with deterministic(5):
        assert torch.equal(torch.rand(3), first)


def test_outside_nothing_has_changed():
    before = (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.get_rng_state())
    filled = torch.utils.deterministic.fill_uninitialized_memory
    with deterministic(5):
        assert torch.get_num_threads() == NUM_THREADS
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
    assert torch.utils.deterministic.fill_uninitialized_memory == filled
    assert torch.get_num_threads() == before[0]
    assert torch.are_deterministic_algorithms_enabled() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])


def _blas_threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_numpys_products_take_no_more_threads_than_torchs_and_get_theirs_back():
    before = _blas_threads()
    with deterministic(5):
        assert set(_blas_threads()) == {NUM_THREADS}
    assert _blas_threads() == before


def test_a_failure_inside_restores_too():
    with pytest.raises(RuntimeError, match="stop"), deterministic(5):
        raise RuntimeError("stop")
    assert not torch.are_deterministic_algorithms_enabled()
