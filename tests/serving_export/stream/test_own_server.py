"""A home's own server of streams keeps what it has answered, however it ends."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from redis import RedisError

from serving_export.bench.servers import free_port
from serving_export.stream.own_server import HOST, valkey_command
from serving_export.stream.redis_streams import RedisSink, RedisSource, connect
from training.settings import Settings


def test_what_was_answered_is_there_after_a_kill(tmp_path: Path) -> None:
    port = free_port()
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path), "ATTUNE_STREAM": f"redis://{HOST}:{port}/0"})
    for lag in (0, 1):
        with subprocess.Popen(valkey_command(settings, port, "always"), stdout=subprocess.DEVNULL) as server:
            try:
                until = time.monotonic() + 30
                while not _is_ready(settings):
                    assert time.monotonic() < until
                    time.sleep(0.05)
                assert RedisSource(connect(settings), [0]).lag(0) == lag
                RedisSink(connect(settings), 1).append("users", [{"user_id": "u"}])
            finally:
                server.kill()
    assert (settings.home / "stream").is_dir()


def _is_ready(settings: Settings) -> bool:
    try:
        return bool(connect(settings).ping())
    except RedisError:
        return False
