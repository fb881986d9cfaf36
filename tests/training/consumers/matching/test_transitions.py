from __future__ import annotations

import numpy as np

from tests.training.consumers.matching.chain import chain
from training.consumers.matching.successors import TRANSITION_DECAY
from training.consumers.matching.transitions import TRANSITIONS_OFFSET, learn_successors, transition_items, transitions


def test_transitions_count_later_items_less_the_further_away() -> None:
    counts = transitions(chain()).toarray()
    assert counts[0, 1] == counts[1, 2] == 2
    assert np.isclose(counts[0, 2], 1 + 2 * TRANSITION_DECAY)
    assert counts.sum() == counts[0, 1] + counts[1, 2] + counts[0, 2]


def test_the_ordered_start_gives_back_the_normalised_transitions() -> None:
    met, following = transition_items(chain(), 6, seed=0)
    counts = transitions(chain()).toarray()
    left, right = (counts.sum(axis=axis) + TRANSITIONS_OFFSET for axis in (1, 0))
    assert np.allclose(met @ following.T, counts / np.sqrt(np.outer(left, right)), atol=1e-5)
    assert not transition_items(chain().where(np.zeros(8, bool)), 3, 0)[0].any()


def test_successors_give_back_the_chance_of_each_item_after_each() -> None:
    counts = transitions(chain()).toarray()
    found = learn_successors(chain(), 6, seed=0)
    expected = counts / (counts.sum(axis=1, keepdims=True) + TRANSITIONS_OFFSET)
    np.testing.assert_allclose(found.preceding_IR @ found.following_IR.T, expected, atol=1e-6)


def test_no_columns_remember_nothing() -> None:
    none = learn_successors(chain(), 0, seed=0)
    assert none.preceding_IR.shape == none.following_IR.shape == (4, 0)
