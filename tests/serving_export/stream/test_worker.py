"""Events become vectors at once, are counted once, and survive whatever ends a worker."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import closing
from itertools import pairwise

import numpy as np
import pytest

from serving_export.stream.batch import ACTIVITY
from serving_export.stream.entries import part_of
from serving_export.stream.redis_streams import connect, stream_key
from serving_export.stream.state import State, ViewKey, state_path
from tests.serving_export.stream.conftest import Streamed, drain
from training.contracts.errors import AttuneError
from training.ingest.row_checks import CONFLICTING_DUPLICATE, MISSING_VALUE
from training.settings import REPO_ROOT

pytestmark = pytest.mark.walk


def test_an_event_moves_its_user_and_nobody_else(streamed: Streamed) -> None:
    store, (one, other, *_) = streamed.store, streamed.users
    before = store.lookup([one, other])
    with closing(streamed.worker()) as worker:
        streamed.send(streamed.event(one, streamed.items[0]))
        drain(worker)
    after = store.lookup([one, other])
    assert not np.array_equal(after.vectors[0], before.vectors[0])
    np.testing.assert_array_equal(after.vectors[1], before.vectors[1])
    assert list(after.fresh) == [one]
    assert after.fresh[one].hour == 10
    assert after.space_id == before.space_id


def test_a_new_user_has_a_vector_and_items_at_once_and_events_move_both(streamed: Streamed) -> None:
    store, items = streamed.store, streamed.items
    assert store.lookup(["newcomer"], "ignore").unknown == ("newcomer",)
    with closing(streamed.worker()) as worker:
        streamed.send(streamed.sign_up("newcomer", items[:3]), table="users")
        drain(worker)
        found = [store.lookup(["newcomer"])]
        ranked = [store.recommend("newcomer", 10, drop_seen=False)]
        assert found[0].virtual == ("newcomer",)
        for item in items[4:6]:
            streamed.send(streamed.event("newcomer", item))
            drain(worker)
            found.append(store.lookup(["newcomer"]))
            ranked.append(store.recommend("newcomer", 10, drop_seen=False))
    assert all(one.consumer == "cold_start" and len(one.ids) == 10 for one in ranked)
    assert found[-1].virtual == ()
    for earlier, later in pairwise(found):
        assert np.linalg.norm(later.vectors - earlier.vectors) > 0.01
    assert len({tuple(one.scores.tolist()) for one in ranked}) == 3
    assert not {*items[4:6]} & {*store.recommend("newcomer", 30).ids}


def test_a_repeated_event_changes_nothing_and_a_conflicting_one_is_a_dead_letter(streamed: Streamed) -> None:
    user, (first, second, *_) = streamed.users[0], streamed.items
    event = streamed.event(user, first)
    with closing(streamed.worker()) as worker:
        streamed.send(event)
        drain(worker)
        before = streamed.store.lookup([user]).vectors
        streamed.send(event, {**event, "item_id": second}, {**event, "event_id": "empty", "item_id": " "})
        streamed.send(event)
        drain(worker)
    np.testing.assert_array_equal(streamed.store.lookup([user]).vectors, before)
    with closing(State(state_path(streamed.settings, 0))) as state:
        reasons = [letter.reason for letter in state.dead_letters()]
    assert sorted(reasons) == sorted([CONFLICTING_DUPLICATE, MISSING_VALUE])


def test_the_order_of_events_does_not_matter(streamed: Streamed) -> None:
    user, items = streamed.users[0], streamed.items[:8]
    rows = [streamed.event(user, item, minute=60 + 40 * n) for n, item in enumerate(items)]
    shuffled = [{**row, "event_id": f"x{row['event_id']}", "user_id": streamed.users[0]} for row in rows]
    random.Random(3).shuffle(shuffled)
    with closing(streamed.worker()) as worker:
        for row in shuffled:
            streamed.send(row)
            drain(worker)
        in_pieces = streamed.store.lookup([user]).vectors
    with closing(streamed.worker()) as worker:  # all at once, from the stored events, in the order of time
        view = next(worker._opened(worker._states[0]))[1]
        [row] = view.rows(worker._states[0], [user])
    np.testing.assert_allclose(np.frombuffer(row.vector, np.float32), in_pieces[0], rtol=1e-4, atol=1e-5)


def test_a_worker_that_is_killed_anywhere_loses_and_repeats_nothing(streamed: Streamed) -> None:
    users, items = streamed.users[:20], streamed.items
    draw = random.Random(5)
    rows = [streamed.event(draw.choice(users), draw.choice(items), minute=draw.randrange(700)) for _ in range(3000)]
    for start in range(0, len(rows), 50):
        streamed.send(*rows[start : start + 50])
    code = (
        "import os, signal, sys; from serving_export.stream import worker, state\n"
        "worker.ENTRIES_AT_ONCE = 100; left = [int(sys.argv[1])]; own = state.State.put_fact\n"
        "def put(self, name, value):\n"
        "    left[0] -= 1\n"
        "    if not left[0]: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    own(self, name, value)\n"
        "state.State.put_fact = put\n"
        "from serving_export.stream.command import follow; from training.settings import Settings\n"
        "follow(Settings.from_env())\n"
    )
    env = {**os.environ, "ATTUNE_HOME": str(streamed.settings.home), "ATTUNE_STREAM": streamed.settings.stream}
    for writes in (9, 14, 20):
        command = [sys.executable, "-c", code, str(writes)]
        done = subprocess.run(command, env=env, cwd=REPO_ROOT, check=False, capture_output=True, timeout=120)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    with closing(streamed.worker()) as worker:
        drain(worker)
        assert connect(streamed.settings).xlen(stream_key(0)) == 0
        [(_, view)] = worker._opened(worker._states[0])
        running = view.features.users(worker._states[0], users)
    counts = {user: sum(row["user_id"] == user for row in rows) for user in users}
    base = view.features.batch.users(users)
    for user, one in zip(users, running, strict=True):
        assert one.num_events == base[user].activity_A[ACTIVITY.index("count_events_all")] + counts[user]
    vectors = streamed.store.lookup(users)
    assert set(vectors.fresh) == set(users)
    expected = [np.frombuffer(row.vector, np.float32) for row in view.rows(worker_state(streamed), users)]
    np.testing.assert_allclose(vectors.vectors, np.stack(expected), atol=1e-4)


def worker_state(streamed: Streamed) -> State:
    return State(state_path(streamed.settings, 0))


def test_parts_are_followed_by_one_worker_each(in_two_parts: Streamed) -> None:
    streamed = in_two_parts
    by_part = [next(user for user in streamed.users if part_of(user, 2) == part) for part in (0, 1)]
    with closing(streamed.worker((0,))) as zero, closing(streamed.worker((1,))) as one:
        streamed.send(*(streamed.event(user, streamed.items[0]) for user in by_part))
        drain(one)
        assert list(streamed.store.lookup(by_part).fresh) == [by_part[1]]
        drain(zero)
        assert set(streamed.store.lookup(by_part).fresh) == set(by_part)
        with pytest.raises(AttuneError, match="to be let go"):
            streamed.worker((1,))


def test_an_outage_of_the_features_leaves_the_daily_vectors_served(streamed: Streamed) -> None:
    user = streamed.users[0]
    daily = streamed.store.lookup([user]).vectors
    with closing(streamed.worker()) as worker:
        streamed.send(streamed.event(user, streamed.items[0]))
        drain(worker)
    space = streamed.settings.space_dir(streamed.store.space_id)
    space.rename(space.with_name("gone"))
    with closing(streamed.worker()) as worker:
        streamed.send(streamed.event(user, streamed.items[1]))
        drain(worker)
    found = streamed.store.lookup([user])
    assert not found.fresh
    np.testing.assert_array_equal(found.vectors, daily)


def test_what_fails_in_the_middle_is_taken_back_and_read_again(
    streamed: Streamed, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = streamed.users[0]
    with closing(streamed.worker()) as worker:
        streamed.send(streamed.event(user, streamed.items[0]))
        with monkeypatch.context() as patched:
            patched.setattr(State, "put_rows", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                drain(worker)
        assert not streamed.store.lookup([user]).fresh
    with closing(streamed.worker()) as worker:
        assert drain(worker) == 1
        [(_, view)] = worker._opened(worker._states[0])
        [one] = view.features.users(worker._states[0], [user])
    assert list(streamed.store.lookup([user]).fresh) == [user]
    assert one.new_items == [streamed.items[0]]


def test_a_view_that_is_carried_over_while_a_worker_looks_neither_ends_it_nor_goes(
    streamed: Streamed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever moves the pointer adds views from a process of its own, at any moment before what they show is served."""
    carried, own = ViewKey("20260401-00000000", str(streamed.day), "not served yet"), State.view_ages

    def carry() -> None:
        with closing(worker_state(streamed)) as state, state.transaction():
            state.add_view(carried)

    carrying = threading.Thread(target=carry)

    def view_ages(state: State) -> dict[int, float]:
        found = own(state)
        if carrying.ident is None:
            carrying.start()
            carrying.join(0.5)
        return found

    monkeypatch.setattr(State, "view_ages", view_ages)
    with closing(streamed.worker()) as worker:
        worker.look()
        carrying.join()
        worker.look()
        assert carried in worker._states[0].views()
