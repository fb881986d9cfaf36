import numpy as np
import pytest

from training.evaluation.probes_neighbours import compare_neighbours, neighbours_alike


def circle(num_users: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Two kinds of users on two arcs; within a kind everybody is near."""
    kind = np.arange(num_users) % 2
    angle = kind * np.pi / 2 + np.random.default_rng(0).uniform(0, 0.3, num_users)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32), kind


def test_perfect_neighbours_score_one():
    users, kind = circle()
    np.testing.assert_allclose(neighbours_alike(users, kind, seed=1), 1.0)


def test_ndcg_by_hand():
    """One of the two neighbours is alike, and it comes second."""
    users = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5]], np.float32)
    scored = neighbours_alike(users, np.array([0, 1, 0]), seed=1)
    assert scored[0] == pytest.approx(1 / np.log2(3))


def test_users_without_a_label_take_no_part():
    users, kind = circle()
    stray = np.vstack([users, np.ones((40, 2), np.float32)])
    label = np.concatenate([kind, np.full(40, -1)])
    np.testing.assert_allclose(neighbours_alike(stray, label, seed=1), 1.0)


def test_a_user_alone_with_a_label_cannot_be_judged():
    users, kind = circle()
    kind[0] = 7
    assert len(neighbours_alike(users, kind, seed=1)) == 79


def test_the_better_representation_gains():
    users, kind = circle()
    blind = np.random.default_rng(2).normal(size=users.shape).astype(np.float32)
    found = compare_neighbours({"kind": users, "blind": blind}, kind, "blind", seed=1)
    table = found["representations"]
    assert table["kind"]["ndcg"] == 1.0
    assert table["kind"]["gain_relative"] == pytest.approx(1 / table["blind"]["ndcg"] - 1, abs=1e-3)
    assert table["blind"]["gain_relative"] == 0.0
    assert found["evidence"] == "80 users with a label"


@pytest.mark.parametrize("label", [np.full(80, -1), np.zeros(80, np.int64)])
def test_labels_that_tell_nothing_are_a_value(label):
    assert list(compare_neighbours({"kind": circle()[0]}, label, "kind", seed=1)) == ["evidence"]
