"""The command follows until it is told to stop, and says what it cannot follow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from redis import Redis

from serving_export.stream.command import follow
from serving_export.stream.redis_streams import RedisSink, stream_key
from training.contracts.errors import AttuneError
from training.settings import REPO_ROOT, Settings


@pytest.mark.parametrize(("parts", "match"), [([1], "from 0 up to 0"), ([], "found \\[\\]")])
def test_a_part_that_is_not_there_is_refused(settings: Settings, parts: list[int], match: str) -> None:
    with pytest.raises(AttuneError, match=match):
        follow(settings, parts)


def test_without_a_stream_it_says_so(settings: Settings) -> None:
    with pytest.raises(AttuneError, match="ATTUNE_STREAM"):
        follow(replace(settings, stream=""))


@pytest.mark.slow
def test_it_takes_events_before_anything_is_promoted_and_ends_when_told(settings: Settings, redis: Redis) -> None:
    row = {"event_id": "e", "user_id": "u", "item_id": "i", "event_type": "click", "occurred_at": 1_700_000_000}
    RedisSink(redis, 1).append("interactions", [row, {**row, "event_id": ""}])
    env = {**os.environ, "ATTUNE_HOME": str(settings.home), "ATTUNE_STREAM": settings.stream}
    command = [sys.executable, "-m", "serving_export", "stream"]
    with subprocess.Popen(command, env=env, cwd=REPO_ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            while redis.xlen(stream_key(0)):
                assert process.poll() is None
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        assert process.stdout is not None
        assert "took 2 entries in" in process.stdout.read()
