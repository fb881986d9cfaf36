import numpy as np
import pytest

from training.evaluation.light_model import PENALTIES, fit_light_model


def pairs(signal: float, num_users: int = 120, num_pairs: int = 3000):
    """Labels drawn from a logistic model on u ⊗ v, as strong as `signal`."""
    generator = np.random.default_rng(0)
    users = generator.normal(size=(num_users, 4)).astype(np.float32)
    items = generator.normal(size=(30, 3)).astype(np.float32)
    truth = generator.normal(size=(4, 3)) * signal
    user_idx, item_idx = generator.integers(num_users, size=num_pairs), generator.integers(30, size=num_pairs)
    logits = np.einsum("pr,rv,pv->p", users[user_idx], truth, items[item_idx])
    label = (generator.random(num_pairs) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    return user_idx, item_idx, label, users, items, logits


def test_it_finds_the_model_that_drew_the_labels():
    user_idx, item_idx, label, users, items, logits = pairs(1.0)
    model = fit_light_model(user_idx, item_idx, label, users, items, seed=1)
    score = model.score(user_idx, item_idx, users, items)
    assert np.corrcoef(score, logits)[0, 1] > 0.95


def test_without_signal_it_takes_the_strongest_penalty():
    user_idx, item_idx, label, users, items, _ = pairs(0.0)
    assert fit_light_model(user_idx, item_idx, label, users, items, seed=1).penalty == max(PENALTIES)


def test_size_and_place_of_a_representation_do_not_matter():
    user_idx, item_idx, label, users, items, _ = pairs(1.0)
    plain = fit_light_model(user_idx, item_idx, label, users, items, seed=1)
    moved = (100 * users + 7).astype(np.float32)
    other = fit_light_model(user_idx, item_idx, label, moved, items, seed=1)
    np.testing.assert_allclose(
        other.score(user_idx, item_idx, moved, items), plain.score(user_idx, item_idx, users, items), atol=0.05
    )


def test_what_an_item_is_worth_to_everyone_needs_no_user():
    user_idx, item_idx, _, users, items, _ = pairs(0.0)
    label = (items[item_idx, 0] > 0).astype(np.float32)
    model = fit_light_model(user_idx, item_idx, label, np.zeros_like(users), items, seed=1)
    right = (model.score(user_idx, item_idx, np.zeros_like(users), items) > 0) == (label > 0)
    assert right.mean() > 0.95


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_gives_the_same_scores(seed):
    user_idx, item_idx, label, users, items, _ = pairs(1.0)
    first, second = (
        fit_light_model(user_idx, item_idx, label, users, items, seed).score(user_idx, item_idx, users, items)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_users_without_a_pair_change_nothing():
    user_idx, item_idx, label, users, items, _ = pairs(1.0)
    among = np.full((1000, users.shape[1]), np.nan, np.float32)
    places = np.sort(np.random.default_rng(2).permutation(1000)[: len(users)])
    among[places] = users
    plain = fit_light_model(user_idx, item_idx, label, users, items, seed=1)
    other = fit_light_model(places[user_idx], item_idx, label, among, items, seed=1)
    np.testing.assert_array_equal(
        other.score(places[user_idx], item_idx, among, items), plain.score(user_idx, item_idx, users, items)
    )


def test_scores_of_every_item_are_those_of_the_pairs():
    generator = np.random.default_rng(3)
    users, items = (generator.normal(size=(n, 4)).astype(np.float32) for n in (5, 7))
    user_idx, item_idx = (place.ravel() for place in np.indices((5, 7)))
    label = (generator.random(35) < 0.5).astype(np.float32)
    model = fit_light_model(user_idx, item_idx, label, users, items, 1, (1e-2,))
    pairs = model.score(user_idx, item_idx, users, items).reshape(5, 7)
    np.testing.assert_allclose(model.item_scores(users, items), pairs, rtol=1e-4, atol=1e-5)
