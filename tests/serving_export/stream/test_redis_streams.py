"""Entries come in order, once they are acknowledged never again, and unacknowledged ones to whoever reads next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from redis import ConnectionError, Redis

from serving_export.stream.entries import Backlog, part_of
from serving_export.stream.redis_streams import RedisSink, RedisSource, connect, stream_key
from training.contracts.errors import AttuneError, TransientFailure
from training.settings import Settings


def test_what_is_appended_is_read_in_order_by_part(redis: Redis) -> None:
    users = [f"u{number}" for number in range(20)]
    assert RedisSink(redis, 2).append("interactions", [{"user_id": user} for user in users]) == 20
    found = RedisSource(redis, [0, 1]).read(100, 1)
    for part in (0, 1):
        expected = [b'{"user_id":"%s"}' % user.encode() for user in users if part_of(user, 2) == part]
        assert [entry.row for entry in found[part]] == expected
        assert {entry.table for entry in found[part]} == {"interactions"}


def test_what_was_not_acknowledged_is_read_again_first(redis: Redis) -> None:
    sink, first = RedisSink(redis, 1), RedisSource(redis, [0])
    sink.append("interactions", [{"user_id": str(number)} for number in range(5)])
    entries = first.read(100, 1)[0]
    first.acknowledge(0, entries[:2])
    sink.append("interactions", [{"user_id": "later"}])
    second = RedisSource(redis, [0])
    assert second.read(2, 1)[0] == entries[2:4]
    assert second.read(2, 1)[0] == entries[4:]
    [late] = second.read(100, 1)[0]
    assert late.row == b'{"user_id":"later"}'
    assert second.lag(0) == 4
    second.acknowledge(0, [*entries[2:], late])
    assert second.lag(0) == 0
    assert second.read(100, 1) == {}
    assert RedisSource(redis, [0]).read(100, 1) == {}


def test_what_was_given_or_acknowledged_to_no_effect_is_read_again_before_what_came_later(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends after it gave entries, whose answer never comes, and before it hears of an acknowledgement."""
    sink, source, read = RedisSink(redis, 1), RedisSource(redis, [0]), redis.xreadgroup
    assert source.read(10, 1) == {}
    sink.append("interactions", [{"user_id": "first"}])

    def lost(*arguments: Any, **options: Any) -> None:
        assert read(*arguments, **options)
        raise ConnectionError("closed")

    def unheard(**options: Any) -> None:
        raise ConnectionError("closed")

    with monkeypatch.context() as patched:
        patched.setattr(redis, "xreadgroup", lost)
        with pytest.raises(TransientFailure):
            source.read(10, 1)
    sink.append("interactions", [{"user_id": "later"}])
    entries = source.read(10, 1)[0]
    assert [entry.row for entry in entries] == [b'{"user_id":"first"}']
    with monkeypatch.context() as patched:
        patched.setattr(redis, "pipeline", unheard)
        with pytest.raises(TransientFailure):
            source.acknowledge(0, entries)
    assert source.read(10, 1)[0] == entries
    source.acknowledge(0, entries)
    while found := source.read(10, 1):
        source.acknowledge(0, found[0])
    assert source.lag(0) == 0


def test_a_full_stream_refuses_and_takes_nothing(redis: Redis) -> None:
    sink = RedisSink(redis, 1, max_backlog=3)
    sink.append("interactions", [{"user_id": "u"}] * 3)
    with pytest.raises(Backlog, match="found 3 that no worker has taken in"):
        sink.append("interactions", [{"user_id": "u"}])
    source = RedisSource(redis, [0])
    source.acknowledge(0, source.read(10, 1)[0])
    assert sink.append("interactions", [{"user_id": "u"}]) == 1


def test_a_server_that_lost_its_streams_is_read_again(redis: Redis) -> None:
    source = RedisSource(redis, [0])
    assert source.read(10, 1) == {}
    redis.flushall()
    with pytest.raises(TransientFailure, match="made anew"):
        source.read(10, 1)
    RedisSink(redis, 1).append("users", [{"user_id": "u"}])
    assert len(source.read(10, 1)[0]) == 1


def test_a_server_that_is_down_is_a_failure_for_a_while(settings: Settings) -> None:
    nobody = replace(settings, stream="redis://127.0.0.1:1/0")
    with pytest.raises(TransientFailure, match="start it"):
        RedisSink(connect(nobody), 1).append("interactions", [{"user_id": "u"}])


@pytest.mark.parametrize("address", ["", "valkey:6379"])
def test_a_stream_that_is_not_set_is_said_so(settings: Settings, address: str) -> None:
    with pytest.raises(AttuneError, match="ATTUNE_STREAM"):
        connect(replace(settings, stream=address))


def test_only_tables_that_stream_are_appended(redis: Redis) -> None:
    with pytest.raises(AttuneError, match="'items'"):
        RedisSink(redis, 1).append("items", [{"item_id": "i"}])
    assert redis.xlen(stream_key(0)) == 0
