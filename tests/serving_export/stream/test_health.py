"""How the workers are is told without one, and is a failure only where a stream is to be followed."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace

import pytest
from redis import Redis

from serving_export.jobs import run
from serving_export.stream import health as module
from serving_export.stream.health import health, require_health
from serving_export.stream.redis_streams import RedisSink
from serving_export.stream.state import DeadLetter, State, state_path
from training.contracts.errors import TransientFailure
from training.settings import Settings


def sign_of_life(settings: Settings, seconds_ago: float = 0.0) -> None:
    with closing(State(state_path(settings, 0))) as state, state.transaction():
        state.put_fact("seen_at", time.time() - seconds_ago)


def test_without_a_stream_nothing_is_unwell(settings: Settings) -> None:
    silent = replace(settings, stream="")
    reason = "no stream is set (ATTUNE_STREAM)"
    assert health(silent) == {"stream": False, "well": True, "wrong": [], "parts": {}, "reason": reason}
    assert run("check_stream", "2026-02-13", settings=silent)["well"] is True


def test_a_stream_without_a_worker_is_unwell(settings: Settings) -> None:
    with pytest.raises(TransientFailure, match="no worker has ever followed users-0-of-1"):
        require_health(settings)


def test_a_worker_that_has_gone_silent_is_unwell(settings: Settings) -> None:
    sign_of_life(settings)
    assert require_health(settings)["well"]
    sign_of_life(settings, module.MAX_SILENCE_S + 10)
    with pytest.raises(TransientFailure, match=r"for 130 s"):
        require_health(settings)


def test_a_worker_that_is_far_behind_is_unwell(
    settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_of_life(settings)
    RedisSink(redis, 1).append("interactions", [{"user_id": "u"}] * 3)
    assert health(settings)["parts"]["users-0-of-1.db"]["lag"] == 3
    monkeypatch.setattr(module, "MAX_LAG", 2)
    with pytest.raises(TransientFailure, match="3 entries wait"):
        require_health(settings)


def test_dead_letters_and_parity_are_told(settings: Settings) -> None:
    sign_of_life(settings)
    with closing(State(state_path(settings, 0))) as state, state.transaction():
        state.bury([DeadLetter("1-0", "wrong type", "occurred_at", "mend it", "{}")])
    [part] = health(settings)["parts"].values()
    assert (part["dead_letters"], part["newest_dead"][0]["column"]) == (1, "occurred_at")
