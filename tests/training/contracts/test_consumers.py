from __future__ import annotations

from typing import get_args

from training.contracts.consumers import CONSUMERS, FOR_USERS_WITHOUT_HISTORY, POPULARITY, Presence, may_be_absent


def test_each_consumer_says_whether_a_space_may_go_live_without_it() -> None:
    assert set(CONSUMERS.values()) <= set(get_args(Presence))
    assert not may_be_absent("matching")
    assert may_be_absent("cold_start")
    assert not may_be_absent("a stranger")


def test_popularity_is_no_consumer_and_cold_start_is_one() -> None:
    assert POPULARITY not in CONSUMERS
    assert FOR_USERS_WITHOUT_HISTORY in CONSUMERS
