"""Timings of training are positive and name what they are beside; how fast they are is not asserted."""

import torch

from training.bench.speed.training import matrix_multiply_rate, torch_threads, training_timings


def test_lines_of_training_and_encoding():
    before = torch.get_num_threads()
    training, encoding = training_timings(num_users=512, epochs=1)
    assert torch.get_num_threads() == before
    assert set(training.incumbents) == {"DataLoader loop"}
    assert set(encoding.incumbents) == {"torch"}
    for line in (training, encoding):
        assert line.unit == "users/s"
        assert min(line.ours, *line.incumbents.values(), *line.limits.values()) > 0


def test_rate_is_a_number_of_operations():
    assert matrix_multiply_rate(64, 1) > 1e6


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with torch_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
