"""A server that is killed runs again at once; memory that grows is told from memory that does not."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import psutil
import pytest

from serving_export.bench.servers import free_port
from serving_export.bench.soak.processes import Memory, Server, wait_listening
from training.contracts.errors import AttuneError

LISTEN = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def server(tmp_path: Path, port: int) -> Server:
    return Server("listener", [sys.executable, "-c", LISTEN, str(port)], {}, tmp_path / "log")


def test_a_killed_server_is_started_again_and_an_ended_one_is_gone(server: Server, port: int) -> None:
    try:
        wait_listening(server, port)
        first = server.process_id
        server.kill()
        wait_listening(server, port)
        assert server.process_id != first
        assert not psutil.pid_exists(first)
    finally:
        server.end()
    assert not psutil.pid_exists(server.process_id)
    with pytest.raises(AttuneError, match="found it ended"):
        server.require_running()


def test_a_growing_process_is_not_flat_and_a_replaced_one_is_a_line_of_its_own(tmp_path: Path) -> None:
    steady = [(float(at), 200.0 + at % 2) for at in range(600)]
    growing = [(float(at), 200.0 + at / 2) for at in range(600)]
    memory = Memory([], {"steady [1]": steady, "growing [2]": growing, "replaced [3]": steady[:300]})
    found = {one.name: one for one in memory.trends(240.0)}
    assert set(found) == {"steady [1]", "growing [2]"}
    assert found["steady [1]"].is_flat
    assert not found["growing [2]"].is_flat
    assert found["growing [2]"].per_minute == pytest.approx(30.0)
    assert "30.0 MB a minute" in found["growing [2]"].complaint


def test_memory_is_sampled_until_told_to_stop(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving_export.bench.soak.processes.SAMPLE_EVERY_S", 0.01)
    memory, stopped = Memory([server]), threading.Event()
    watching = threading.Thread(target=memory.watch, args=(stopped,))
    watching.start()
    try:
        while not memory.samples:
            stopped.wait(0.01)
    finally:
        stopped.set()
        watching.join()
        server.end()
    [samples] = memory.samples.values()
    assert samples[0][1] > 1


def test_a_child_that_ended_and_is_not_buried_has_no_memory(tmp_path: Path) -> None:
    code = "import subprocess, time; child = subprocess.Popen(['true']); time.sleep(600)"
    server = Server("parent", [sys.executable, "-c", code], {}, tmp_path / "log")
    memory = Memory([server])
    try:
        while not any(child.status() == psutil.STATUS_ZOMBIE for child in server.children()):
            threading.Event().wait(0.01)
        memory._sample(server, 0.0)
        assert list(memory.samples) == [f"parent [{server.process_id}]"]
    finally:
        server.end()
