"""A lookup worker that is killed under load is replaced, and costs no more than the connections that it had."""

from __future__ import annotations

import threading

import pytest

from serving_export.bench.soak.processes import free_port, lookups, wait_listening
from serving_export.bench.soak.reads import Client, Request
from serving_export.bench.soak.run import _kill_lookup_worker, _lookup_workers
from serving_export.bench.soak.tally import Tally
from tests.serving_export.world import World
from training.contracts.partitions import Partition

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
