"""Known pairs, by flags and by search alike."""

import numpy as np
import pytest
import torch

from training.samplers import seen as module
from training.samplers.seen import Seen


@pytest.mark.parametrize("cells", [0, 2**26])
def test_known_pairs_are_told_from_unknown_ones(monkeypatch, cells):
    monkeypatch.setattr(module, "BITMAP_CELLS", cells)
    seen = Seen(np.array([0, 2, 2]), np.array([1, 0, 3]), 3, 4)
    users, items = torch.meshgrid(torch.arange(3), torch.arange(4), indexing="ij")
    assert seen.contains(users, items).nonzero().tolist() == [[0, 1], [2, 0], [2, 3]]
    assert seen.counts_U.tolist() == [1, 0, 2]


@pytest.mark.parametrize("cells", [0, 2**26])
def test_nothing_seen_bars_nothing(monkeypatch, cells):
    monkeypatch.setattr(module, "BITMAP_CELLS", cells)
    assert not Seen.nothing(2, 3).contains(torch.tensor([0, 1]), torch.tensor([2, 0])).any()


def test_repetitions_count_once():
    seen = Seen(np.array([1, 1]), np.array([0, 0]), 2, 2)
    assert seen.counts_U.tolist() == [0, 1]
    assert seen.mass(torch.tensor([0.25, 0.75])).tolist() == [0, 0.25]
