import numpy as np
import pytest

from training.representation.collaborative import (
    METHODS,
    CollaborativeConfig,
    IndexedLog,
    count_cooccurrence,
    learn_collaborative,
    normalise_rows,
    normalised_interactions,
    shifted_ppmi,
)


def log_of(rows: list[tuple[int, int]], num_items: int) -> IndexedLog:
    users, items = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    return IndexedLog(
        user_idx=users, item_idx=items, session_idx=users, num_users=int(users.max()) + 1, num_items=num_items
    )


def two_shelves() -> IndexedLog:
    """Twenty readers of items 0-3 and twenty of items 4-7; item 8 is never read."""
    generator = np.random.default_rng(0)
    rows = [(user, 4 * (user % 2) + int(item)) for user in range(40) for item in generator.permutation(4)]
    return log_of(rows, 9)


def test_cooccurrence_counts_neighbours_within_the_window_and_the_group():
    groups, items = np.array([0, 0, 1, 0]), np.array([0, 1, 2, 2])
    near = count_cooccurrence(groups, items, 3, window=1).toarray()
    np.testing.assert_array_equal(near, [[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    wide = count_cooccurrence(groups, items, 3, window=2).toarray()
    np.testing.assert_array_equal(wide, [[0, 1, 1], [1, 0, 1], [1, 1, 0]])


def test_an_item_met_twice_does_not_meet_itself():
    counts = count_cooccurrence(np.zeros(3, np.int64), np.array([1, 1, 0]), 2, window=2)
    assert counts.diagonal().sum() == 0
    assert counts[0, 1] == 2


def test_ppmi_by_hand():
    counts = count_cooccurrence(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3]), 4, window=1)
    found = shifted_ppmi(counts, shift=1.0, context_smoothing=1.0).toarray()
    assert found[0, 1] == pytest.approx(np.log(4))
    assert found[0, 2] == 0
    shifted = shifted_ppmi(counts, shift=2.0, context_smoothing=1.0)
    assert shifted[0, 1] == pytest.approx(np.log(4) - np.log(2))


def test_interactions_are_binary_and_degree_normalised():
    found = normalised_interactions(log_of([(0, 0), (0, 0), (0, 1), (1, 1)], 2), degree_prior=0.0).toarray()
    np.testing.assert_allclose(found, [[1 / np.sqrt(2), 0.5], [0, 1 / np.sqrt(2)]])


@pytest.mark.parametrize("method", METHODS)
def test_items_of_one_shelf_lie_together(method):
    vectors = learn_collaborative(two_shelves(), CollaborativeConfig(window=3), method, width=4, seed=1)
    similarity = vectors @ vectors.T
    assert vectors.shape == (9, 4)
    assert vectors.dtype == np.float32
    assert similarity[0, 1:4].min() > similarity[0, 4:8].max() + 0.2


@pytest.mark.parametrize("method", METHODS)
def test_rows_are_unit_or_zero_and_equal_twice(method):
    first, second = (learn_collaborative(two_shelves(), CollaborativeConfig(), method, 4, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(np.linalg.norm(first[:8], axis=1), 1, atol=1e-5)
    assert not first[8].any()


@pytest.mark.parametrize("method", METHODS)
def test_a_width_above_the_rank_is_padded(method):
    vectors = learn_collaborative(log_of([(0, 0), (0, 1), (1, 1)], 2), CollaborativeConfig(), method, width=6, seed=1)
    assert vectors.shape == (2, 6)
    assert np.isfinite(vectors).all()
    assert not vectors[:, 2:].any()


def test_normalise_rows_leaves_zero_rows_alone():
    np.testing.assert_allclose(normalise_rows(np.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0, 0]], rtol=1e-6)
