"""What is started is found again and stopped whole, children that left the process group included."""

import os
import sys
import time

import psutil
import pytest
from local.processes import Services

TREE = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], process_group=0)
open({pids!r}, "w").write(f"{{os.getpid()}} {{child.pid}}")
time.sleep(300)
"""
STUBBORN = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(300)\n"


@pytest.fixture
def services(tmp_path, monkeypatch):
    monkeypatch.setattr("local.processes.GRACE_S", 1.0)
    services = Services(tmp_path / "services")
    yield services
    services.stop()


def start(services, tmp_path, script):
    return services.start("probe", [sys.executable, "-c", script], dict(os.environ), tmp_path)


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_started_server_is_recorded_and_its_output_kept(services, tmp_path):
    log = start(services, tmp_path, "print('up', flush=True); import time; time.sleep(300)")
    wait_for(lambda: log.read_text() == "up\n")
    assert services.running() == ["probe"]
    assert services.dead() == []
    assert [entry["name"] for entry in services.recorded()] == ["probe"]


def test_stopping_ends_children_that_left_the_process_group(services, tmp_path):
    pids = tmp_path / "pids"
    start(services, tmp_path, TREE.format(pids=str(pids)))
    wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    started = [int(pid) for pid in pids.read_text().split()]
    assert services.stop() == ["probe"]
    assert not any(_lives(pid) for pid in started)
    assert services.recorded() == []


def test_a_server_that_ignores_the_polite_signal_is_killed(services, tmp_path):
    start(services, tmp_path, STUBBORN)
    pid = services.recorded()[0]["pid"]
    services.stop()
    assert not psutil.pid_exists(pid)  # not even as a zombie


def test_another_driver_finds_and_stops_what_the_first_one_left(services, tmp_path):
    start(services, tmp_path, "import time; time.sleep(300)")
    pid = services.recorded()[0]["pid"]
    second = Services(services.folder)
    assert second.running() == ["probe"]
    second.stop()
    wait_for(lambda: not _lives(pid))


def test_a_server_that_has_ended_is_dead_with_its_log(services, tmp_path):
    log = start(services, tmp_path, "raise SystemExit('no port')")
    wait_for(lambda: services.dead() != [])
    assert services.running() == []
    assert services.dead()[0]["log"] == str(log)
    assert "no port" in log.read_text()


def test_a_pid_that_was_given_to_another_process_is_left_alone(services, tmp_path):
    services.folder.mkdir()
    entry = {"name": "old", "pid": os.getpid(), "started": 1.0, "log": "none"}
    services._write([entry])
    assert services.running() == []
    services.stop()
    assert _lives(os.getpid())


def test_stopping_nothing_is_fine(services):
    assert services.stop() == []


def _lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
