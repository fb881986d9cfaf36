"""The stream holds nothing of an erased user: states, mapped features, and entries that nobody has read."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from redis import Redis

from serving_export.erasure import stream
from serving_export.erasure.people import People
from serving_export.overlay import OVERLAY
from serving_export.stream.entries import part_of
from serving_export.stream.redis_streams import GROUP, RedisSink, RedisSource, stream_key
from serving_export.stream.state import Row, State, ViewKey, state_path
from training.contracts.errors import TransientFailure
from training.settings import Settings

PEOPLE = People(["17", "anna"])
KEY = ViewKey("20260212-aaaaaaaa", "2026-02-12", "20260212-aaaaaaaa/dt=2026-02-12.0", "m1")


@pytest.fixture
def settings(tmp_path: Path, server: int) -> Settings:
    env = {"ATTUNE_STREAM": f"redis://127.0.0.1:{server}/0", "ATTUNE_STREAM_PARTITIONS": "2"}
    return Settings.from_env({"ATTUNE_HOME": str(tmp_path), **env})


def test_entries_go_whether_or_not_they_were_read(
    settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "ENTRIES_AT_ONCE", 3)
    users = ["anna", "17", "117", "anna b", 17]
    RedisSink(redis, 2).append("interactions", [{"user_id": user, "item_id": "i"} for user in users * 4])
    read = RedisSource(redis, (0, 1)).read(5, 1)
    assert sum(map(len, read.values())) > 0
    assert sum(int(place.split()[-2]) for place in stream.find_entries(settings, PEOPLE)) == 12
    assert stream.erase_entries(settings, PEOPLE) == 12
    assert stream.find_entries(settings, PEOPLE) == []
    assert sum(redis.xlen(stream_key(part)) for part in (0, 1)) == 8
    pending = [entry for part in (0, 1) for entry in redis.xpending_range(stream_key(part), GROUP, "-", "+", 100)]
    left = {position for part in (0, 1) for position, _ in redis.xrange(stream_key(part))}
    assert {entry["message_id"] for entry in pending} <= left


def test_no_group_and_no_stream_is_nothing_to_do(settings: Settings, redis: Redis) -> None:
    assert stream.erase_entries(settings, PEOPLE) == 0
    RedisSink(redis, 2).append("users", [{"user_id": "anna"}])
    assert stream.erase_entries(settings, PEOPLE) == 1
    assert stream.find_entries(replace(settings, stream=""), PEOPLE) == []


def test_nothing_is_proved_by_a_server_that_does_not_answer(settings: Settings) -> None:
    with pytest.raises(TransientFailure, match="erase --now"):
        stream.find_entries(replace(settings, stream="redis://127.0.0.1:1/0"), PEOPLE)


def test_rows_over_a_snapshot_are_read_no_more(settings: Settings) -> None:
    with closing(State(state_path(settings, part_of("anna", 2)))) as state:
        with state.transaction():
            view = state.add_view(KEY)
            state.put_rows(view, [Row(user, 5, False, True, b"\0" * 8, None, ()) for user in ("anna", "bob")])
        stream.erase_overlay(settings, PEOPLE.ids)
        assert state.count_rows(view) == 1


def test_mapped_features_that_name_a_user_are_removed(settings: Settings) -> None:
    folder = settings.published_dir / OVERLAY
    folder.mkdir(parents=True)
    for name, users in (("batch-1", ["17", "bob"]), ("batch-2", ["117", "bob"])):
        table = pa.table({"user_id": users, "history_item_ids": [["17"], ["anna"]]})
        with pa.ipc.new_file(str(folder / f"{name}.arrow"), table.schema) as writer:
            writer.write_table(table)
    assert stream.forget_batches(settings, PEOPLE) == 1
    assert [path.name for path in folder.iterdir()] == ["batch-2.arrow"]
