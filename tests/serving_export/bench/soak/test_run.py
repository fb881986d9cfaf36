"""A lookup worker that is killed under load is replaced, and costs no more than the connections that it had."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psutil
import pyarrow as pa
import pytest

from serving_export.bench.servers import free_port
from serving_export.bench.soak import run
from serving_export.bench.soak.home import Size
from serving_export.bench.soak.processes import lookups, wait_listening
from serving_export.bench.soak.reads import Client, Request
from serving_export.bench.soak.run import _kill_lookup_worker, _lookup_workers, _told
from serving_export.bench.soak.table import table
from serving_export.bench.soak.tally import Tally
from tests.serving_export.world import World
from training.contracts.columns import USER_ACTIVITY
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.settings import Settings
from training.storage import PART, write_json, write_parquet

pytestmark = pytest.mark.integration


def test_a_killed_lookup_worker_is_replaced_under_load(world: World) -> None:
    world.promote(Partition.parse("2026-11-05"))
    port, tally, stopped = free_port(), Tally(), threading.Event()
    server = lookups(world.settings, port)

    def ask() -> None:
        client = Client(port, tally)
        while not stopped.wait(0.01):
            client.ask(Request("spaces", "GET", "/spaces"))
        client.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    try:
        wait_listening(server, port, "/readyz")
        for thread in threads:
            thread.start()
        before = {one.pid for one in _lookup_workers(server)}
        assert len(before) == 2
        _kill_lookup_worker(server, tally)
        after = {one.pid for one in _lookup_workers(server)}
        assert min(before) not in after
        assert after - before
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
        server.end()
    assert not tally.broken
    assert tally.kinds["spaces"].seconds
    assert tally.kinds["spaces"].resets <= len(threads)


@pytest.mark.parametrize("error", [AttuneError("no answer"), KeyboardInterrupt()], ids=["broken", "interrupted"])
def test_what_ends_a_soak_early_is_counted_and_ends_nothing_else(error: BaseException) -> None:
    tally = Tally()
    with _told(tally):
        raise error
    [line] = tally.broken
    assert line.startswith(f"the soak ended early: {type(error).__name__}")


def test_an_account_is_told_of_a_server_that_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second worker of the stream ends by itself; what was asked until then is in the account, and nothing runs."""
    today = Partition(datetime.now(UTC).date())
    world.promote(today.shift(-1))
    servers: list[run._Servers] = []

    def end(settings: Settings, *arguments: str) -> None:
        os.kill(servers[0].workers[1].process_id, signal.SIGKILL)

    @contextmanager
    def kept(settings: Settings, port: int) -> Iterator[run._Servers]:
        with served(settings, port) as found:
            servers.append(found)
            yield found

    served = run._servers
    monkeypatch.setattr(run, "_servers", kept)
    monkeypatch.setattr(run, "attune", end)
    counts = pa.table({"user_id": ["u0"], "count_events_all": [1]})
    write_parquet(counts, world.settings.features_dir(USER_ACTIVITY.name, today.shift(-1)) / PART)
    write_json({"day": str(today)}, world.settings.home / "prepared.json")
    account = run.soak_at(world.settings.home, world.settings.seed, 0.2, Size())
    assert "expected stream 1 to run, found it ended: -9" in account.tally.broken[-1]
    assert account.sent.keys() == {"/events", "straight"}
    assert account.tally.checked["as the home's own"]
    assert not any(psutil.pid_exists(one.process_id) for one in servers[0].all)
    assert "**Broken:**" in table(account, 0.2)
