from __future__ import annotations

import numpy as np
import pytest

from tests.training.ranking.world import two_tastes
from training.consumers.matching.train import MatchingTrainingConfig
from training.consumers.multi_interest.candidates import UNIFORM, item_shares, with_candidates
from training.ranking.blocks import Block, Blocks

PAIRS = two_tastes().pairs()


def _block(targets: list[int]) -> Block:
    nothing = np.zeros(0, np.int64)
    return Block(
        shown_item_idx=nothing,
        shown_place=nothing,
        target_item_idx=np.array(targets, np.int64),
        target_place=np.zeros(len(targets), np.int64),
        target_weights=np.ones(len(targets), np.float32),
        candidates=None,
        log_inclusion=None,
        size=1,
    )


def test_shares_mix_the_powers_of_the_counts() -> None:
    counts = PAIRS.item_counts()
    np.testing.assert_allclose(item_shares(PAIRS, UNIFORM), 1 / 40)
    np.testing.assert_allclose(item_shares(PAIRS, ((1.0, 2.0),)), counts / counts.sum())
    mixed = item_shares(PAIRS, ((0.0, 0.25), (1.0, 0.75)))
    np.testing.assert_allclose(mixed, 0.25 / 40 + 0.75 * counts / counts.sum())


def test_an_empty_log_draws_by_what_is_left_of_the_mixture() -> None:
    nothing = PAIRS.where(np.zeros(len(PAIRS), bool))
    np.testing.assert_allclose(item_shares(nothing, ((0.0, 0.5), (1.0, 0.5))), 1 / 40)


def test_candidates_are_sorted_distinct_and_hold_the_targets() -> None:
    block = with_candidates(_block([3, 39, 3]), item_shares(PAIRS, UNIFORM), 10, np.random.default_rng(0))
    assert block.candidates is not None
    assert {3, 39} <= set(block.candidates.tolist())
    assert (np.diff(block.candidates) > 0).all()
    assert len(block.candidates) <= 12


def test_the_stated_probability_is_how_often_an_item_is_in() -> None:
    shares = item_shares(PAIRS, ((0.0, 0.5), (1.0, 0.5)))
    rng = np.random.default_rng(0)
    seen, stated = np.zeros(40), np.full(40, np.nan)
    for _ in range(3000):
        block = with_candidates(_block([]), shares, 12, rng)
        assert block.candidates is not None
        assert block.log_inclusion is not None
        seen[block.candidates] += 1
        stated[block.candidates] = np.exp(block.log_inclusion)
    np.testing.assert_allclose(stated, seen / 3000, atol=0.035)


def test_a_target_of_many_users_is_all_but_surely_in() -> None:
    block = with_candidates(_block([7] * 12), item_shares(PAIRS, UNIFORM), 5, np.random.default_rng(0))
    assert block.candidates is not None
    assert block.log_inclusion is not None
    at = int(np.searchsorted(block.candidates, 7))
    assert float(np.exp(block.log_inclusion[at])) == pytest.approx(1.0, abs=1e-4)


def test_everything_else_of_a_block_stays() -> None:
    whole = next(Blocks(PAIRS, MatchingTrainingConfig(block_users=16).dealing()).epoch(np.random.default_rng(0)))
    drawn = with_candidates(whole, item_shares(PAIRS, UNIFORM), 8, np.random.default_rng(0))
    assert whole.candidates is None
    np.testing.assert_array_equal(drawn.target_item_idx, whole.target_item_idx)
    np.testing.assert_array_equal(drawn.shown_place, whole.shown_place)
