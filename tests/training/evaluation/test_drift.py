import numpy as np
import pytest

from training.evaluation.drift import effective_rank, nearest_neighbours, neighbour_overlap, norm_statistics


def vectors(seed: int = 0, num_users: int = 200, width: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num_users, width)).astype(np.float32)


def test_effective_rank_counts_directions():
    assert effective_rank(np.eye(5, dtype=np.float32)) == pytest.approx(4)
    assert effective_rank(np.outer(np.arange(9), [1, 2, 3]).astype(np.float32)) == pytest.approx(1)
    assert effective_rank(vectors()) == pytest.approx(6, abs=0.2)


@pytest.mark.parametrize("z", [np.ones((9, 3)), np.zeros((0, 3)), np.ones((1, 3))])
def test_a_collapsed_space_has_no_rank(z):
    assert effective_rank(z.astype(np.float32)) == 0.0


def test_norms_by_hand():
    found = norm_statistics(np.array([[3, 4], [0, 1]], np.float32))
    assert found["mean"] == 3.0
    assert found["std"] == 2.0
    assert found["p01"] == pytest.approx(1.04)
    assert norm_statistics(np.zeros((0, 2), np.float32)) == {}


def test_nearest_neighbours_by_hand():
    z = np.array([[1, 0], [2, 0.1], [0, 1], [-1, 0]], np.float32)
    assert nearest_neighbours(z, np.array([0, 3]), 2).tolist() == [[1, 2], [2, 1]]


def test_a_turned_space_keeps_every_neighbour():
    z = vectors()
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))
    assert neighbour_overlap(z, (3 * z @ turn).astype(np.float32), 10, 50, seed=1) > 0.99


def test_an_unrelated_space_keeps_as_many_as_chance():
    assert neighbour_overlap(vectors(0), vectors(1), 10, 200, seed=1) == pytest.approx(10 / 199, abs=0.02)


def test_few_users_are_no_error():
    assert neighbour_overlap(vectors(0, 1), vectors(1, 1), 10, 50, seed=1) == 1.0
    assert neighbour_overlap(vectors(0, 3), vectors(1, 3), 10, 50, seed=1) == 1.0
