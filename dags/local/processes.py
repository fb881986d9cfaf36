"""Start servers in sessions of their own, remember them, and stop them whole.

A scheduler's tasks leave its process group but never its session, so the session is what is stopped. What was started
is written down before anything else, so that even a killed driver leaves servers that the next command finds.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

GRACE_S = 10.0
"""Time for an orderly end; what is left after it is killed. Every job survives being killed."""


class Services:
    """The servers of one home, recorded in `services.json`."""

    def __init__(self, folder: Path) -> None:
        """Take up what an earlier command recorded in `folder`; nothing is started."""
        self.folder = folder
        self._record = folder / "services.json"
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str], cwd: Path) -> Path:
        """Start a server detached and return the path of its log."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("wb") as sink:
            child = subprocess.Popen(
                command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
            )
        self._children.append(child)
        entry = {"name": name, "pid": child.pid, "started": psutil.Process(child.pid).create_time(), "log": str(log)}
        self._write([*self.recorded(), entry])
        return log

    def recorded(self) -> list[dict[str, Any]]:
        """Return what was started and not stopped, dead or alive."""
        try:
            entries: list[dict[str, Any]] = json.loads(self._record.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        return entries

    def running(self) -> list[str]:
        """Return the names of the recorded servers whose leading process is alive."""
        return [entry["name"] for entry in self.recorded() if _is_alive(entry)]

    def dead(self) -> list[dict[str, Any]]:
        """Return the recorded servers whose leading process has ended."""
        return [entry for entry in self.recorded() if not _is_alive(entry)]

    def stop(self) -> list[str]:
        """End every recorded server with all that it started, and return their names."""
        entries = self.recorded()
        for entry in entries:
            if _is_alive(entry):
                _send(entry["pid"], signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while _members(entries) and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.1)
        while left := _members(entries):
            for pid in left:
                _send(pid, signal.SIGKILL)
            self._reap()
            time.sleep(0.1)
        for child in self._children:
            child.wait()
        self._children.clear()
        self._record.unlink(missing_ok=True)
        return [entry["name"] for entry in entries]

    def _write(self, entries: list[dict[str, Any]]) -> None:
        temporary = self._record.with_suffix(".tmp")
        temporary.write_text(json.dumps(entries, indent=1), encoding="utf-8")
        temporary.replace(self._record)

    def _reap(self) -> None:
        for child in self._children:
            child.poll()


def _members(entries: list[dict[str, Any]]) -> list[int]:
    """Return the live processes of the recorded sessions; a session's number is its leader's pid."""
    sessions = {entry["pid"]: entry["started"] for entry in entries}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError, PermissionError):
            started = sessions.get(os.getsid(process.pid))
            if started is None or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.create_time() >= started - 1:
                found.append(process.pid)
    return found


def _is_alive(entry: dict[str, Any]) -> bool:
    try:
        process = psutil.Process(entry["pid"])
        return abs(process.create_time() - entry["started"]) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
