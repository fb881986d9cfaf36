from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.contracts.errors import MissingArtefact
from training.ingest.world import World, WorldConfig, draw_world

CONFIG = WorldConfig(num_users=50, num_items=40, num_days=10, num_clusters=4)


@pytest.fixture
def world() -> World:
    return draw_world(CONFIG, np.random.default_rng(1))


def test_users_have_two_to_four_interests_that_sum_to_one(world: World) -> None:
    counts = (world.before_UC > 0).sum(axis=1)
    assert counts.min() >= 2
    assert counts.max() <= 4
    for day in (0, 9):
        np.testing.assert_allclose(world.interests(day).sum(axis=1), 1.0)


def test_interests_drift(world: World) -> None:
    moved = np.abs(world.interests(9) - world.interests(0)).sum(axis=1)
    assert moved.max() > 0.2


def test_within_a_cluster_probabilities_sum_to_one_and_unborn_items_have_none(world: World) -> None:
    share_UI = world.within_clusters(0, np.arange(50))
    for cluster in range(4):
        np.testing.assert_allclose(share_UI[:, world.cluster_I == cluster].sum(axis=1), 1.0)
    assert (share_UI[:, world.created_I > 0] == 0).all()


def test_a_world_is_saved_and_loaded_whole(world: World, tmp_path: Path) -> None:
    world.save(tmp_path)
    again = World.load(tmp_path)
    assert again.config == world.config
    np.testing.assert_array_equal(again.preferences(5), world.preferences(5))
    with pytest.raises(MissingArtefact, match="expected a simulated world"):
        World.load(tmp_path / "nowhere")


def test_days_count_from_the_first() -> None:
    assert str(CONFIG.first) == "2026-10-30"
    assert CONFIG.day_number(CONFIG.first.shift(3)) == 3
