from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.training.ranking.world import two_tastes
from training.consumers.multi_interest.initialisation import cluster_centres, started_model
from training.consumers.multi_interest.network import MultiInterestConfig
from training.ranking.initialisation import svd_items, unit_rows

PAIRS = two_tastes().pairs()
SVD = svd_items(PAIRS, 4, seed=0)
GROUP = np.repeat(np.eye(2, dtype=np.float32), 20, axis=0)
CONFIG = MultiInterestConfig(num_interests=2, width=4, hidden=4)


def test_centres_find_two_groups_of_items() -> None:
    rng = np.random.default_rng(0)
    near = unit_rows(np.repeat(np.eye(3, dtype=np.float32)[:2], 10, axis=0) + 0.1 * rng.normal(size=(20, 3)))
    centres = cluster_centres(near.astype(np.float32), np.ones(20), 2, seed=1)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, rtol=1e-5)
    assert sorted(centres.argmax(axis=1).tolist()) == [0, 1]
    assert centres.max(axis=1).min() > 0.95


def test_a_lone_centre_prefers_nothing() -> None:
    assert not cluster_centres(np.eye(3, dtype=np.float32), np.ones(3), 1, seed=0).any()


def test_more_centres_than_directions_are_still_finite() -> None:
    centres = cluster_centres(np.zeros((3, 2), np.float32), np.zeros(3), 5, seed=0)
    assert centres.shape == (5, 2)
    assert np.isfinite(centres).all()


def test_without_features_items_start_at_the_svd_and_terms_at_log_popularity() -> None:
    config = MultiInterestConfig(num_interests=2, width=4, hidden=4, item_features=False)
    model = started_model(config, PAIRS, SVD, GROUP, seed=0)
    np.testing.assert_allclose(model.items().detach().numpy(), unit_rows(SVD), atol=1e-5)
    np.testing.assert_allclose(model.item_bias.detach().numpy(), np.log(PAIRS.item_counts() + 0.5), rtol=1e-5)
    torch.testing.assert_close(model.history_items.weight, model.items())
    assert not model.from_features.any()


def test_rarely_met_items_start_where_their_features_say() -> None:
    known = PAIRS.where(PAIRS.item_idx != 0)
    model = started_model(CONFIG, known, svd_items(known, 4, seed=0), GROUP, seed=0)
    items = model.items().detach().numpy()
    own, other = items[0] @ items[1:20].mean(axis=0), items[0] @ items[20:].mean(axis=0)
    assert own > other
    assert own > 0.5


@pytest.mark.parametrize("start", ["clusters", "random"])
def test_queries_have_the_length_asked_for(start: str) -> None:
    config = MultiInterestConfig(num_interests=3, width=4, hidden=4, query_start=start, sharpness=2.5)
    model = started_model(config, PAIRS, SVD, GROUP, seed=0)
    torch.testing.assert_close(model.towers.queries.detach().norm(dim=1), torch.full((3,), 2.5))


def test_equal_seed_gives_equal_weights_and_another_does_not() -> None:
    first, again, other = (started_model(CONFIG, PAIRS, SVD, GROUP, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["towers.into_hidden"], other["towers.into_hidden"])
