import numpy as np
import pytest

from tests.training.evaluation.test_probes import two_kinds
from training.evaluation.probes import build_pair_task
from training.evaluation.probes_first_hours import FirstHours, compare_first_hours


def first_hours(num_new: int = 30) -> tuple[FirstHours, np.ndarray, np.ndarray]:
    """Eighty users of two kinds; the last `num_new` have no past that anybody knows."""
    past, future, users, items = two_kinds()
    first_new = len(users) - num_new
    known, later = past[0] < first_new, future[0] < first_new
    earlier = (past[0][known], past[1][known])
    old = build_pair_task(earlier, (future[0][later], future[1][later]), len(items), 1, 10_000)
    new = build_pair_task(earlier, (future[0][~later], future[1][~later]), len(items), 1, 10_000)
    popularity = np.bincount(earlier[1], minlength=len(items)).astype(np.float32)
    return FirstHours(old, new, popularity), users, items


@pytest.fixture(scope="module")
def comparison():
    task, users, items = first_hours()
    nothing = np.zeros_like(users)
    return compare_first_hours(task, {"picks": users, "nothing": nothing}, items, seed=1)


def test_picks_that_tell_the_kind_beat_popularity(comparison):
    picks, popularity = (comparison["representations"][name] for name in ("picks", "popularity"))
    assert picks["accuracy"] > 0.65 > popularity["accuracy"]
    assert picks["auc"] > popularity["auc"] + 0.1
    assert picks["accuracy_gain_relative"] == pytest.approx(picks["accuracy"] / popularity["accuracy"] - 1, abs=1e-4)


def test_users_told_nothing_do_no_better_than_popularity(comparison):
    nothing, popularity = (comparison["representations"][name] for name in ("nothing", "popularity"))
    assert abs(nothing["auc"] - popularity["auc"]) < 0.1


def test_hits_count_positives_among_the_first_ten(comparison):
    """A user's kind halves the forty items, so hits of ten double from a quarter to a half."""
    assert comparison["representations"]["picks"]["hits_at_10"] > 0.4
    assert comparison["representations"]["popularity"]["hits_at_10"] < 0.4


def test_too_few_new_users_are_a_value():
    task, users, items = first_hours(num_new=5)
    found = compare_first_hours(task, {"picks": users}, items, seed=1)
    assert found == {"evidence": "not enough evidence: n=5 new users"}
