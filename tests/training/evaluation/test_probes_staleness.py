import numpy as np
import pytest

from tests.training.evaluation.test_probes import task_of, two_kinds
from training.evaluation.probes_staleness import compare_cost, compare_staleness


@pytest.fixture(scope="module")
def spaces() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same users in an old space and in a new one that swaps its axes, and the items."""
    _, _, users, items = two_kinds()
    return users, users[:, ::-1].copy(), items


def test_unmapped_collapses_and_mapped_loses_nothing(spaces):
    old, new, items = spaces
    found = compare_staleness(task_of(), old, {"as it is": new, "mapped": new[:, ::-1].copy()}, new, items, seed=1)
    assert found["auc"]["old vectors"] > 0.7
    assert found["auc"]["as it is"] < 0.35, "swapped axes answer the opposite"
    assert found["auc"]["mapped"] == found["auc"]["old vectors"]
    assert found["auc"]["retrained"] == pytest.approx(found["auc"]["old vectors"], abs=0.02)
    assert found["relative"]["mapped"] == 0.0


def test_cost_names_both_consumers(spaces):
    old, _, items = spaces
    wide = np.hstack([old, np.random.default_rng(0).normal(size=(len(old), 30))]).astype(np.float32)
    found = compare_cost(task_of(), {"z": old, "raw_input": wide}, items, seed=1)["consumers"]
    assert found["z"]["auc"] > 0.7
    assert all(figures["cpu_seconds"] > 0 for figures in found.values())


def test_too_few_labels_are_a_value(spaces):
    old, new, items = spaces
    assert list(compare_staleness(task_of(max_positives=9), old, {}, new, items, seed=1)) == ["evidence"]
    assert list(compare_cost(task_of(max_positives=9), {"z": old}, items, seed=1)) == ["evidence"]
