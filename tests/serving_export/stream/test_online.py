"""Feast's online store answers what lookups answer, whatever was written over it meanwhile."""

from __future__ import annotations

import os
from contextlib import closing

import numpy as np
import pytest

from serving_export.online import write_online
from serving_export.stream.metrics import StreamMetrics
from serving_export.stream.online import OnlineRows, OnlineWriter, write_online_rows
from tests.serving_export.stream.conftest import Streamed, drain
from training.data.feature_store import read_online
from training.data.online import guard

pytestmark = pytest.mark.walk


def online(streamed: Streamed, *users: str, slot: str = "") -> dict[str, tuple[np.ndarray, object]]:
    space_id = slot or streamed.store.space_id
    found = read_online(streamed.settings, "matching_v1", [{"user_id": u, "space_id": space_id} for u in users])
    return {
        user: (np.asarray(vector, np.float32), at)
        for user, vector, at in zip(found["user_id"], found["vector"], found["vector__ts"], strict=True)
    }


def test_feast_reads_the_overlay_s_vectors_and_times(streamed: Streamed) -> None:
    user, other = streamed.users[:2]
    metrics = StreamMetrics()
    rows = OnlineRows(streamed.settings, metrics)
    with closing(streamed.worker(online=rows)) as worker:
        streamed.send(streamed.event(user, streamed.items[0]))
        streamed.send(streamed.sign_up("newcomer", streamed.items[:3]), table="users")
        drain(worker)
    rows.close()
    found = streamed.store.lookup([user, other, "newcomer"])
    served = online(streamed, user, other, "newcomer")
    for name, vector in zip(found.user_ids, found.vectors, strict=True):
        np.testing.assert_array_equal(served[name][0], vector)
    assert int(served[user][1]) == int(found.fresh[user].timestamp())

    live = streamed.store.pointer.live
    write_online(streamed.settings, live, live.space_id)  # the daily batch writes over it, and forgets others
    np.testing.assert_array_equal(online(streamed, user)[user][0], streamed.store.snapshot.vectors[0])
    guard.record_served(streamed.settings, "user_embedding", streamed.store.space_id, streamed.day.shift(-1))
    [frame] = streamed.store.pointer.frames
    assert OnlineWriter(streamed.settings).flush() == 4, "everyone in the overlay, in the space and in the frame"
    in_frame = streamed.store.lookup([user, "newcomer"], frame=frame)
    for name, vector in zip(in_frame.user_ids, in_frame.vectors, strict=True):
        np.testing.assert_array_equal(online(streamed, name, slot=frame)[name][0], vector)
    served = online(streamed, user, "newcomer")
    np.testing.assert_array_equal(served[user][0], found.vectors[0])
    np.testing.assert_array_equal(served["newcomer"][0], found.vectors[2])


def test_a_store_that_fails_is_tried_again(streamed: Streamed, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = OnlineWriter(streamed.settings)
    writer.mark(["u"])
    with monkeypatch.context() as patched:
        patched.setattr("serving_export.stream.online.write_online_rows", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            writer.flush()
    written: list[set[str]] = []
    monkeypatch.setattr("serving_export.stream.online.write_online_rows", lambda _, users, **__: written.append(users))
    writer.flush()
    assert written == [{"u"}]


def test_a_writer_that_was_killed_is_started_again_and_failures_are_counted(streamed: Streamed) -> None:
    metrics = StreamMetrics()
    rows = OnlineRows(streamed.settings, metrics)
    user = streamed.users[0]
    try:
        rows._process.kill()
        rows._process.join()
        rows._failures.value = 3
        with closing(streamed.worker(online=rows)) as worker:
            streamed.send(streamed.event(user, streamed.items[0]))
            drain(worker)
        assert rows._process.is_alive()
    finally:
        rows.close()
    assert metrics.registry.get_sample_value("attune_stream_online_failures_total") == 3
    np.testing.assert_array_equal(online(streamed, user)[user][0], streamed.store.lookup([user]).vectors[0])


def test_nobody_and_an_empty_home_are_nothing(streamed: Streamed) -> None:
    assert write_online_rows(streamed.settings, set()) == 0
    assert write_online_rows(streamed.settings, {"nobody"}) == 0
    os.remove(streamed.settings.published_dir / "pointer.json")
    assert write_online_rows(streamed.settings, {"u"}) == 0
