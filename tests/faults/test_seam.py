"""Every call below the home is seen, whichever library makes it, and fails as it was told to."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import sys
import threading
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.faults.seam import Fault, run
from training.storage import write_json


def _write(home: Path) -> int:
    write_json({"day": 1}, home / "a" / "b.json")
    return 0


WRITTEN = [
    "mkdir a",
    "create a/.b.json.TMP",
    "write a/.b.json.TMP",
    "sync a/.b.json.TMP",
    "rename a/b.json",
    "sync a",
]


def test_the_calls_of_an_atomic_write_are_seen_in_order_and_others_are_not(tmp_path: Path) -> None:
    home, beside = tmp_path / "home", tmp_path / "beside"
    home.mkdir()

    def work() -> int:
        beside.write_text("no business of ours")
        (home / "a").mkdir(exist_ok=True)
        (home / "a").mkdir(exist_ok=True)
        (home / "nothing").unlink(missing_ok=True)
        return _write(home)

    assert run(work, home).places == WRITTEN
    assert run(work, home).places == WRITTEN[1:], "what changes nothing is no place"


@pytest.mark.parametrize("step", range(len(WRITTEN)), ids=WRITTEN)
def test_a_kill_comes_before_the_call(tmp_path: Path, step: int) -> None:
    outcome = run(lambda: _write(tmp_path), tmp_path, Fault("kill", WRITTEN[step]))
    assert (outcome.struck, outcome.status) == (True, -signal.SIGKILL)
    assert outcome.places == WRITTEN[: step + 1]
    assert (tmp_path / "a" / "b.json").exists() == (step == 5)


def test_a_full_disk_stays_full_and_an_error_comes_once(tmp_path: Path) -> None:
    def twice() -> int:
        for name in ("one", "two"):
            try:
                (tmp_path / name).write_text("text")
            except OSError as error:
                sys.stderr.write(f"{error.strerror}\n")
        return 0

    full = run(twice, tmp_path, Fault("full", "write one"))
    assert full.said.count("No space left on device") == 2
    (tmp_path / "one").unlink()
    assert run(twice, tmp_path, Fault("EIO", "write one")).said == "Input/output error\n"
    assert (tmp_path / "two").read_text() == "text"


def test_writes_of_compiled_libraries_are_seen(tmp_path: Path) -> None:
    def work() -> int:
        with sqlite3.connect(tmp_path / "ledger.db") as database:
            database.execute("create table t (a)")
        with duckdb.connect(str(tmp_path / "attune.duckdb")) as warehouse:
            warehouse.execute("create table t (a int)")
        pq.write_table(pa.table({"a": [1]}), tmp_path / "part-0.parquet")
        return 0

    places = set(run(work, tmp_path).places)
    assert {"sync ledger.db-journal", "write ledger.db", "write attune.duckdb", "write part-0.parquet"} <= places


def test_a_hang_is_looked_at_and_then_ended(tmp_path: Path) -> None:
    seen: list[bool] = []
    outcome = run(
        lambda: _write(tmp_path),
        tmp_path,
        Fault("hang", "rename a/b.json"),
        hang_s=0.1,
        while_hanging=lambda: seen.append((tmp_path / "a" / "b.json").exists()),
    )
    assert (outcome.hung, outcome.status, seen) == (True, -signal.SIGKILL, [False])


def test_work_that_does_not_end_by_itself_is_ended(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="end by itself"):
        run(lambda: threading.Event().wait() and 0, tmp_path, limit_s=0.5)  # type: ignore[return-value]


class TestServers:
    @pytest.fixture
    def server(self) -> socket.socket:
        listening = socket.create_server(("127.0.0.1", 0))
        yield listening  # type: ignore[misc]
        listening.close()

    def ask(self, port: int) -> int:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5) as client:
            try:
                client.sendall(b"ping")
            except OSError as error:
                sys.stderr.write(f"{error.strerror}\n")
                return 1
            try:
                client.recv(1)
            except TimeoutError:
                return 2
        return 0

    def test_what_is_sent_to_a_server_is_seen_by_name_and_fails(self, tmp_path: Path, server: socket.socket) -> None:
        port = server.getsockname()[1]
        fault = Fault("EPIPE", "send redis")
        outcome = run(lambda: self.ask(port), tmp_path, fault, servers={str(port): "redis"})
        assert (outcome.places, outcome.status, outcome.said) == (["connect redis", "send redis"], 1, "Broken pipe\n")

    def test_a_server_that_hangs_leaves_the_end_to_the_callers_patience(
        self, tmp_path: Path, server: socket.socket
    ) -> None:
        port = server.getsockname()[1]
        outcome = run(lambda: self.ask(port), tmp_path, Fault("hang", "send redis"), servers={str(port): "redis"})
        assert (outcome.status, outcome.hung) == (2, False)
        connection, _ = server.accept()
        with connection:
            assert connection.recv(16) == b"", "it was swallowed"


def test_nothing_is_left_of_a_child(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    run(lambda: _write(tmp_path), tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before
