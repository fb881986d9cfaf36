import numpy as np
import pytest
import scipy.sparse as sp

from training.evaluation.peers.user_factors import user_factors


def two_groups() -> sp.csr_matrix:
    """Users of even number meet the first ten items, the others the last ten, nine in ten of them."""
    met = np.random.default_rng(0).random((40, 20)) < 0.9
    own = (np.arange(40)[:, None] % 2 == 0) == (np.arange(20)[None, :] < 10)
    return sp.csr_matrix((met & own).astype(np.float32))


@pytest.mark.parametrize("method", ["nmf", "als"])
def test_users_of_a_group_are_nearer_to_each_other(method):
    users = user_factors(two_groups(), 4, seed=1)[method]
    assert users.shape == (40, 4)
    assert users.dtype == np.float32
    unit = users / np.linalg.norm(users, axis=1, keepdims=True)
    nearness = unit @ unit.T
    same = np.arange(40)[:, None] % 2 == np.arange(40)[None, :] % 2
    assert nearness[same].mean() > nearness[~same].mean() + 0.05


def test_the_same_seed_gives_the_same_factors():
    first, second = (user_factors(two_groups(), 4, seed=1) for _ in range(2))
    for name in first:
        np.testing.assert_allclose(first[name], second[name], rtol=1e-4, atol=1e-5)


def test_a_matrix_smaller_than_the_width_has_fewer_non_negative_factors():
    assert user_factors(two_groups(), 30, seed=1)["nmf"].shape == (40, 20)
