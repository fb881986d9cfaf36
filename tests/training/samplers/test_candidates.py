"""The list that the search chooses among."""

import numpy as np
import pytest

from training.data.pair_log import PairLog
from training.samplers.candidates import CANDIDATES, samplers_of

PAIRS = PairLog(
    user_idx=np.array([0, 0, 1]),
    item_idx=np.array([0, 1, 1]),
    occurred_at=np.arange(3),
    num_users=2,
    num_items=4,
    as_of=3,
)


def test_each_sampler_goes_by_the_name_it_is_listed_under():
    assert tuple(sampler.name for sampler in samplers_of(PAIRS)) == CANDIDATES
    assert len(set(CANDIDATES)) == 9


def test_names_choose_and_order():
    assert [sampler.name for sampler in samplers_of(PAIRS, ("in-batch", "uniform"))] == ["in-batch", "uniform"]
    with pytest.raises(KeyError):
        samplers_of(PAIRS, ("guess",))
