"""Whatever was accepted and is not there, or is there twice, is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from serving_export.bench.soak.settle import MAX_DISTANCE, Kept, apart, drain, lost_in_batch, lost_in_stream
from serving_export.stream.redis_streams import RedisSink, RedisSource
from training.contracts.errors import AttuneError
from training.settings import Settings

ROWS: list[dict[str, Any]] = [
    {"event_id": "a", "user_id": "u1"},
    {"event_id": "b", "user_id": "u1"},
    {"event_id": "c", "user_id": "u2"},
]
KEPT = Kept(frozenset("abc"), frozenset({"u1", "u2"}), {"missing": 2})


def test_a_whole_state_is_not_complained_of() -> None:
    assert list(lost_in_stream(KEPT, ROWS, [{"missing": 1}, {"missing": 1}])) == []


def test_lost_made_up_and_forgotten_things_are_named() -> None:
    state = replace(KEPT, event_ids=frozenset("abx"), fresh_users=frozenset({"u1"}))
    found = list(lost_in_stream(state, ROWS, [{"missing": 1}]))
    assert found == [
        "1 accepted events are not kept: ['c']",
        "1 events are kept that were not accepted: ['x']",
        "1 users who did something are not in the overlay: ['u2']",
        "expected dead letters {'missing': 1}, found {'missing': 2}",
    ]


def test_the_batch_must_count_every_event_once() -> None:
    assert list(lost_in_batch({"u1": 5}, {"u1": 7, "u2": 1, "u3": 9}, ROWS)) == []
    [line] = lost_in_batch({"u1": 5}, {"u1": 8, "u2": 1}, ROWS)
    assert "1 users" in line
    assert "u1" in line


def test_everyone_must_be_compared_and_close() -> None:
    near = {"users": 2, "worst": [{"user_id": "u1", "distance": MAX_DISTANCE / 2}]}
    assert list(apart([near], ROWS)) == []
    far = {"users": 1, "worst": [{"user_id": "u2", "distance": 2 * MAX_DISTANCE}]}
    missing, distant = apart([far], ROWS)
    assert "found 1" in missing
    assert "u2" in distant


@pytest.mark.integration
def test_nothing_waits_for_a_worker_that_has_ended(tmp_path: Path, redis: Redis, server: int) -> None:
    stream = f"redis://127.0.0.1:{server}/0"
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path), "ATTUNE_STREAM": stream})
    source = RedisSource(redis, [0])
    source.read(1, 1)
    RedisSink(redis, 1).append("interactions", [{"user_id": "u1"}])
    assert source.lag(0) == 1

    def require_running() -> None:
        raise AttuneError("found it ended")

    with pytest.raises(AttuneError, match="found it ended"):
        drain(settings, require_running)
    source.acknowledge(0, source.read(1, 1)[0])
    drain(settings, require_running)
