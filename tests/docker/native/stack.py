"""Start the services of compose.yaml as processes, hold them against their own health checks, lose some, stop all."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
from local.processes import Services

from tests.docker.native import servers
from tests.docker.native.world import OURS, Process, World, order
from training.contracts.errors import AttuneError
from training.settings import REPO_ROOT

START_TIMEOUT_S = 300.0
IMAGES: dict[str, Callable[[World, Process], Process]] = {"postgres": servers.postgres, "valkey": servers.valkey}
"""How the services of other images are run here."""


class Stack:
    """The whole profile on one folder."""

    def __init__(self, world: World, say: Callable[[str], None]) -> None:
        self.world, self.say = world, say
        self.home = world.folder
        self.services = Services(world.folder / "run")
        self.running: dict[str, Process] = {}

    def start(self) -> dict[str, float]:
        """Start every service once those that it waits for are healthy; return the seconds until each was.

        Raises:
            AttuneError: One ended or did not become healthy in time; the message holds the end of its log.
        """
        begun, took = time.monotonic(), {}
        for step in order(self.world.document):
            for service in step:
                self._begin(service)
            for name in [name for name, process in self.running.items() if process.service in step]:
                self._await_healthy(name)
                took[name] = time.monotonic() - begun
                self.say(f"{name} healthy")
        return took

    def _begin(self, service: str) -> None:
        entry = self.world.document["services"][service]
        for process in self.world.processes(service):
            if not entry["image"].startswith(OURS):
                process = IMAGES[service](self.world, process)
            if entry["restart"] == "no":
                self._run_to_end(process)
            else:
                self.services.start(process.name, process.command, process.env, REPO_ROOT)
                self.running[process.name] = process

    def _run_to_end(self, process: Process) -> None:
        done = subprocess.run(
            process.command,
            env=process.env,
            cwd=REPO_ROOT,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise AttuneError(f"expected {process.name} to end well, found {(done.stdout + done.stderr)[-3000:]}")
        self.say(f"{process.name} done")

    def _await_healthy(self, name: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while (found := self.unhealthy(name)) is not None:
            self.check_alive()
            if time.monotonic() > deadline:
                raise AttuneError(f"expected {name} healthy, found {found}\n{self.log_of(name)}")
            time.sleep(0.5)

    def unhealthy(self, name: str) -> str | None:
        """Return what a service's own health check says when it fails, else None."""
        process = self.running[name]
        try:
            done = subprocess.run(
                process.check, env=process.env, cwd=REPO_ROOT, capture_output=True, text=True, timeout=60, check=False
            )
        except subprocess.TimeoutExpired:
            return "no answer"
        return None if done.returncode == 0 else (done.stdout + done.stderr)[-1000:]

    def check_alive(self) -> None:
        """Raise AttuneError with the end of its log if a service has ended that nobody killed."""
        alive = self.services.running()
        for name in self.running:
            if name not in alive:
                raise AttuneError(f"expected {name} to go on running\n{self.log_of(name)}")

    def log_of(self, name: str) -> str:
        """Return the end of a service's log."""
        path = self.services.folder / "logs" / f"{name}.log"
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-40:])

    def kill(self, name: str) -> None:
        """End a service and all its processes by signal 9 at once, as a host that is lost."""
        pids = self.members(name)
        del self.running[name]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def restart(self, name: str) -> None:
        """Start a killed service again, as `restart: unless-stopped` does."""
        process = next(p for p in self.world.processes(name.rpartition("-")[0]) if p.name == name)
        self.services.start(name, process.command, process.env, REPO_ROOT)
        self.running[name] = process

    def members(self, name: str) -> list[int]:
        """Return the live processes of a service."""
        sessions = [entry["pid"] for entry in self.services.recorded() if entry["name"] == name]
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if os.getsid(process.pid) == sessions[-1] and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
        return found

    def run_in(self, service: str, *command: str, timeout_s: float = 120) -> Any:
        """Run a command with a service's environment, as `docker compose exec` does, and return its JSON."""
        process = self.running[service]
        done = subprocess.run(
            command, env=process.env, cwd=REPO_ROOT, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        assert done.returncode == 0, f"expected {command} to be done, found {done.stdout[-500:]} {done.stderr[-2000:]}"
        return json.loads(done.stdout)

    def stop(self) -> None:
        """End everything that was started."""
        self.running.clear()
        self.services.stop()


@contextlib.contextmanager
def started(world: World, say: Callable[[str], None]) -> Iterator[tuple[Stack, dict[str, float]]]:
    """Start the profile, yield it with the seconds until each service was healthy, and stop it whatever happens."""
    stack = Stack(world, say)
    try:
        yield stack, stack.start()
    finally:
        stack.stop()
