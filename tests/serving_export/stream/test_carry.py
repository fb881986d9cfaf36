"""The overlay survives a promotion, a rollback and a restart, and the batch supersedes it."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from serving_export.checksum import MANIFEST
from serving_export.jobs import run as run_serving
from serving_export.pointer_moves import move, pointer_lock, rollback
from serving_export.stream.batch import ACTIVITY
from serving_export.stream.carry import carry
from serving_export.stream.state import State, state_path
from serving_export.stream.worker import Worker
from tests.serving_export.stream.conftest import Streamed, columns_of, drain
from training.contracts.columns import TASTE_WINDOWS_DAYS
from training.ingest.conversion import convert
from training.jobs import run
from training.registry.pointer import PublishedSnapshot, read_pointer
from training.storage import arrow_schema, write_parquet

pytestmark = pytest.mark.walk


def another_space(streamed: Streamed) -> PublishedSnapshot:
    """Return a snapshot of a space of another id, whose encoder is another: a copy with its outputs turned round."""
    import onnx
    from onnx import numpy_helper

    settings, live = streamed.settings, read_pointer(streamed.settings.published_dir).live
    other = replace(live, space_id="20260213-0000beef", path="20260213-0000beef/dt=" + live.partition + ".00000000")
    shutil.copytree(settings.space_dir(live.space_id), settings.space_dir(other.space_id))
    manifest = settings.space_dir(other.space_id) / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "space_id": other.space_id}))
    path = settings.space_dir(other.space_id) / "encoder.onnx"
    model = onnx.load(str(path))
    for weights in model.graph.initializer:
        if weights.name.startswith("linear."):
            turned = numpy_helper.from_array(-numpy_helper.to_array(weights), weights.name)
            weights.CopyFrom(turned)
    onnx.save(model, str(path))
    shutil.copytree(settings.published_dir / live.path, settings.published_dir / other.path)
    manifest = settings.published_dir / other.path / MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "space_id": other.space_id}))
    return other


def promote(streamed: Streamed, entry: PublishedSnapshot) -> None:
    with pointer_lock(streamed.settings) as held:
        current = read_pointer(streamed.settings.published_dir)
        previous, legacy = current.sequence, current.live
        move(streamed.settings, replace(current, kind="promote", previous=previous, live=entry, legacy=legacy), held)


def test_a_promotion_takes_the_overlay_along_before_it_flips_and_a_rollback_brings_it_back(
    streamed: Streamed,
) -> None:
    user, items = streamed.users[0], streamed.items
    first = streamed.store.space_id
    with closing(streamed.worker()) as worker:
        streamed.send(streamed.event(user, items[0]))
        drain(worker)
        other = another_space(streamed)
        assert carry(streamed.settings, other) == 1
        streamed.send(streamed.event(user, items[1]))  # between the carrying and the flip
        drain(worker)
        promote(streamed, other)
        flipped = streamed.store.lookup([user])  # before the worker has looked at the pointer
        assert (flipped.space_id, list(flipped.fresh)) == (other.space_id, [user])
        streamed.send(streamed.event(user, items[2]))
        drain(worker)
        after = streamed.store.lookup([user])
        assert not np.array_equal(after.vectors, flipped.vectors)
        in_first = streamed.store.for_space(first).lookup([user])
        rollback(streamed.settings)
        back = streamed.store.lookup([user])
        assert (back.space_id, list(back.fresh)) == (first, [user])
        np.testing.assert_array_equal(back.vectors, in_first.vectors)
        streamed.send(streamed.event(user, items[3]))
        drain(worker)
    with closing(streamed.worker()) as worker:  # a restart
        worker.look()
    assert not np.array_equal(streamed.store.lookup([user]).vectors, back.vectors)
    assert carry(streamed.settings, other) == 0, "it was carried over before"


def test_a_promotion_without_a_worker_takes_the_overlay_along(streamed: Streamed) -> None:
    user = streamed.users[0]
    with closing(streamed.worker()) as worker:
        streamed.send(streamed.event(user, streamed.items[0]))
        drain(worker)
    other = another_space(streamed)
    assert carry(streamed.settings, other) == 1
    promote(streamed, other)
    assert list(streamed.store.lookup([user]).fresh) == [user]


def deliver(streamed: Streamed, *rows: dict) -> str:
    """Deliver the day's log, build it and publish it, as the daily run does."""
    import pyarrow as pa

    from training.contracts.columns import RAW_INTERACTIONS

    settings, day = streamed.settings, streamed.day
    columns = {
        column.name: convert(pa.array([row.get(column.name) for row in rows]), column.kind).values
        for column in RAW_INTERACTIONS.columns
    }
    schema = arrow_schema(RAW_INTERACTIONS)
    table = pa.table({name: columns[name].cast(schema.field(name).type) for name in schema.names}, schema=schema)
    folder = settings.raw_dir("interactions") / f"dt={day}"
    write_parquet(table, folder / "part-0.parquet")
    (folder / "_SUCCESS").touch()
    for job in ("land_partition", "transform_partition", "pool_taste"):
        run(job, str(day), settings=settings)
    run_serving("refresh_embeddings", str(day), settings=settings)
    return str(day)


def test_the_batch_of_the_same_events_supersedes_them_and_agrees(streamed: Streamed) -> None:
    users, items = streamed.users, streamed.items
    types = ("click", "view", "play", "purchase")
    rows = [
        streamed.event(users[n % 12], items[(5 * n) % len(items)], minute=10 + 17 * n, event_type=types[n % 4])
        for n in range(60)
    ]
    rows += [streamed.event("newcomer", items[n], minute=700 + n) for n in range(3)]
    unlogged = streamed.event(users[20], items[3])
    next_day = streamed.event(users[0], items[7], minute=24 * 60 + 30)
    with closing(streamed.worker()) as worker:
        streamed.send(*rows, unlogged)
        drain(worker)
        [(_, before)] = worker._opened(worker._states[0])
        running = dict(zip(users[:12], before.features.users(worker._states[0], users[:12]), strict=True))
        columns = {user: columns_of(one) for user, one in running.items()}
        taste = {user: one.taste_WK.copy() for user, one in running.items()}
        overlaid = {user: streamed.store.lookup([user]).vectors[0] for user in [*users[:12], "newcomer"]}

        day = deliver(streamed, *rows)
        store = streamed.store
        assert store.snapshot.entry.partition == day
        assert list(store.fresh_users()) == [users[20]], "only the event that no log holds is read over the batch"
        assert store.lookup(users[:12]).fresh == {}

        worker.look()
        with closing(State(state_path(streamed.settings, 0))) as state:
            parity = state.fact(f"parity {store.space_id}")
        assert (parity["partition"], parity["users"]) == (day, 13)
        assert parity["p100"] < 1e-4, parity
        for user, vector in overlaid.items():
            batch = store.lookup([user]).vectors[0]
            gap = np.linalg.norm(vector - batch) / np.linalg.norm(batch)
            assert gap <= parity["p100"] + 1e-5, user

        streamed.send({**rows[0]}, {**rows[1]})  # once more, after the batch has them
        drain(worker)
        assert list(streamed.store.fresh_users()) == [users[20]]
        _hold_against_the_batch(worker, columns, taste)
        streamed.send({**next_day})
        drain(worker)
        assert set(streamed.store.fresh_users()) == {users[0], users[20]}


def _hold_against_the_batch(worker: Worker, columns: dict[str, Any], taste: dict[str, Any]) -> None:
    """Hold every feature against the batch's."""
    [(_, view)] = worker._opened(worker._states[0])
    found = view.features.batch.users(list(columns))
    for user, own in columns.items():
        counts = zip(TASTE_WINDOWS_DAYS, found[user].taste_WK[:, -1], strict=True)
        batch = {**found[user].values, **dict(zip(ACTIVITY, found[user].activity_A, strict=True))}
        batch |= {f"count_taste_{window}": count for window, count in counts}
        for name in (*ACTIVITY, "tenure_days", *(f"count_taste_{window}" for window in TASTE_WINDOWS_DAYS)):
            assert own[name] == pytest.approx(batch[name], abs=1e-5), (user, name)
        np.testing.assert_allclose(taste[user], found[user].taste_WK, atol=1e-4)
