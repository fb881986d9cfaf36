from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training.consumers.cold_start.world import NUM_ITEMS, NUM_USERS, two_groups
from training.consumers.cold_start.dataset import ColdStartData
from training.consumers.cold_start.linear_fit import LinearStartConfig, fit_linear_start

ALL = LinearStartConfig(width=NUM_ITEMS, damping=0.0, strength=1e-9)


def _scores(data: ColdStartData, config: LinearStartConfig) -> np.ndarray:
    start = fit_linear_start(data, config, seed=1)
    return start.user_vectors(data) @ start.item_vectors().T


@pytest.fixture
def bare() -> ColdStartData:
    data = two_groups()
    return replace(data, pick_idx_UP=np.full_like(data.pick_idx_UP, -1))


def test_undamped_and_whole_it_is_the_history_of_old_users_and_the_group_shares_of_new_ones(
    bare: ColdStartData,
) -> None:
    matrix, old = bare.pairs.matrix().toarray(), bare.has_history
    unit = np.sort(matrix[old].mean(axis=0))[-20:].mean()
    scores = _scores(bare, ALL) * unit
    np.testing.assert_allclose(scores[old], matrix[old], atol=1e-3)
    group_one = matrix[1 : NUM_USERS - 4 : 2].mean(axis=0)
    np.testing.assert_allclose(scores[NUM_USERS - 1], group_one, atol=1e-3)


def test_ridge_draws_new_users_towards_everyone(bare: ColdStartData) -> None:
    shares = bare.pairs.matrix().toarray()[bare.has_history].mean(axis=0)
    unit = np.sort(shares)[-20:].mean()
    apart = [
        np.abs(_scores(bare, replace(ALL, strength=strength))[-1] * unit - shares).max()
        for strength in (1.0, 20.0, 1e9)
    ]
    assert apart[0] > apart[1] > apart[2]
    assert apart[2] < 1e-6


def test_a_narrow_start_still_tells_the_groups_apart(bare: ColdStartData) -> None:
    scores = _scores(bare, LinearStartConfig(width=2, damping=5.0, strength=1.0))
    half = NUM_ITEMS // 2
    assert scores[-1, half:].min() > scores[-1, :half].max()
    assert scores[-2, :half].min() > scores[-2, half:].max()


def test_a_pick_says_what_those_who_met_it_like(bare: ColdStartData) -> None:
    unnamed = replace(
        two_groups(), attribute_idx_UA=np.full((NUM_USERS, 1), -1), pick_idx_UP=two_groups().pick_idx_UP.copy()
    )
    unnamed.pick_idx_UP[0::2, 0] = 0
    scores = _scores(unnamed, LinearStartConfig(width=8, damping=1.0, strength=1.0, pick_width=4))
    half = NUM_ITEMS // 2
    assert scores[-1, half:].mean() > scores[-1, :half].mean()
    assert scores[-2, :half].mean() > scores[-2, half:].mean()


def test_the_same_seed_gives_the_same_start(bare: ColdStartData) -> None:
    first, second = (_scores(bare, LinearStartConfig(width=4)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_nobody_with_pairs_gives_zeros() -> None:
    nobody = two_groups().without_users(np.ones(NUM_USERS, bool))
    assert not _scores(nobody, LinearStartConfig(width=4)).any()
