"""What a sender says it has sent is what lies in the stream."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from redis import Redis

from serving_export.bench.servers import free_port
from serving_export.bench.soak import events
from serving_export.bench.soak.events import Sender
from serving_export.bench.soak.tally import Tally
from serving_export.stream.redis_streams import stream_key
from tests.serving_export.world import World
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition

pytestmark = pytest.mark.integration


def test_what_lies_in_the_stream_is_what_was_accepted_repeated_and_broken(
    world: World, redis: Redis, server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TICK_S": 0.001, "TWICE": 0.5, "BROKEN": 0.3, "CONFLICTING": 0.3}.items():
        monkeypatch.setattr(events, name, value)
    today = Partition(datetime.now(UTC).date())
    world.promote(today.shift(-1))
    settings = replace(world.settings, stream=f"redis://127.0.0.1:{server}/0")
    tally, stopped = Tally(), threading.Event()
    sender = Sender(settings, today, tally, 1, client=redis)
    sending = threading.Thread(target=sender.run, args=(stopped,))
    sending.start()
    while len(sender.sent.accepted) < 100:
        stopped.wait(0.01)
    stopped.set()
    sending.join()
    entries: Any = redis.xrange(stream_key(0))
    rows = [json.loads(fields[b"row"]) for _, fields in entries]
    whole = [row for row in rows if row["item_id"].strip()]
    assert {row["event_id"] for row in whole} == sender.sent.accepted.keys()
    broken = sum(sender.sent.dead.values())
    assert len(rows) == len(sender.sent.accepted) + sender.sent.repeated + broken
    assert len(sender.sent.dead) == 2
    assert all(row["occurred_at"][:10] == str(today) for row in rows)
    assert not tally.broken


def test_a_sender_gives_up_on_a_server_that_has_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TICK_S": 0.001, "RETRY_S": 0.01, "TAKEN_WITHIN_S": 0.1}.items():
        monkeypatch.setattr(events, name, value)
    today = Partition(datetime.now(UTC).date())
    world.promote(today.shift(-1))
    tally = Tally()
    sender = Sender(world.settings, today, tally, 1, port=free_port())
    with pytest.raises(AttuneError, match="to be taken within"):
        sender.run(threading.Event())
    assert not sender.sent.accepted
    assert sender.sent.again
    assert "the sender http ended" in tally.broken[-1]
