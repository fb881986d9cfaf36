"""Say a container's words on this machine: addresses, ports and folders of the profile become those of one home."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.docker.native.composed import read_compose
from training.settings import REPO_ROOT

DOCKER = REPO_ROOT / "docker"
PORTS = {
    "postgres": 5432,
    "valkey": 6379,
    "mlflow": 5000,
    "airflow-api": 8080,
    "airflow-scheduler": 8974,
    "lookup": 8600,
    "stream": 8601,
}
"""Where each service listens in its container."""
OURS = "attune:"


@dataclass(frozen=True)
class Process:
    """One service, or one of its replicas, as a process of this machine.

    Attributes:
        service: Its name in compose.yaml.
        name: Its own, which for a replica ends in a number.
        command: What is run.
        env: The whole environment: what the image and compose.yaml give it, and where programs and libraries lie.
        check: Its health check's command; empty for one that ends by itself.
    """

    service: str
    name: str
    command: tuple[str, ...]
    env: dict[str, str]
    check: tuple[str, ...]


class World:
    """The profile on one folder of this machine."""

    def __init__(self, folder: Path, variables: Mapping[str, str], source: Path = DOCKER / "compose.yaml") -> None:
        """Read compose.yaml and choose free ports; what its configs hold is written below `folder`."""
        self.folder = folder
        self.home = folder / "home"
        self.ports = dict(zip(PORTS.values(), free_ports(len(PORTS)), strict=True))
        self.document = read_compose(source, variables)
        self._files = {"/var/lib/attune": self.home, "/opt/attune": REPO_ROOT} | self._mounted()

    def port(self, service: str) -> int:
        """Return where a service listens here."""
        return self.ports[PORTS[service]]

    def processes(self, service: str) -> list[Process]:
        """Return a service's replicas, as compose.yaml counts them."""
        entry = self.document["services"][service]
        count = entry.get("deploy", {}).get("replicas", 1)
        return [self._process(service, entry, f"{service}-{number}", count) for number in range(1, count + 1)]

    def here(self, text: str) -> str:
        """Return a text of the profile with the addresses and folders of this machine."""
        for service, port in PORTS.items():
            text = re.sub(rf"\b({service}|localhost|127\.0\.0\.1):{port}\b", f"127.0.0.1:{self.ports[port]}", text)
        for inside, outside in self._files.items():
            text = text.replace(inside, str(outside))
        return text

    def _process(self, service: str, entry: dict[str, Any], name: str, count: int) -> Process:
        is_ours = entry["image"].startswith(OURS)
        given = (image_environment() if is_ours else {}) | entry["environment"]
        env = {key: self.here(value) for key, value in given.items()} | self._surroundings(name)
        if is_ours:
            env["AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT"] = str(self.port("airflow-scheduler"))
        command = self._arguments(entry["command"])
        if count > 1:  # in containers, their host names tell them apart
            command += ["--celery-hostname", name]
        kind, *check = entry.get("healthcheck", {}).get("test", ["NONE"])
        check = ["bash", "-c", *check] if kind == "CMD-SHELL" else check
        check = [part.replace("$(hostname)", name) for part in self._arguments(check)]
        return Process(service, name if count > 1 else service, tuple(command), env, tuple(check))

    def _arguments(self, command: list[str]) -> list[str]:
        """Return a command whose bare ports and addresses are those of this machine."""
        bare = {str(inside): str(outside) for inside, outside in self.ports.items()} | {"0.0.0.0": "127.0.0.1"}
        parts = [self.here(part) for part in command]
        parts = [bare.get(part, part) for part in parts]
        options = [re.fullmatch(r"(--[\w-]+=)(\S+)", part) for part in parts]
        return [
            found[1] + bare.get(found[2], found[2]) if found else part
            for part, found in zip(parts, options, strict=True)
        ]

    def _surroundings(self, name: str) -> dict[str, str]:
        """Return where programs and libraries lie, and a private folder, as a container's own file system would be."""
        private = self.folder / "private" / name
        private.mkdir(parents=True, exist_ok=True)
        path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        own = {"PATH": path, "HOME": str(private), "AIRFLOW_HOME": str(private / "airflow"), "LANG": "C.UTF-8"}
        return own | {"PYTHONPATH": f"{REPO_ROOT}:{REPO_ROOT / 'dags'}", "OMP_NUM_THREADS": "1"}

    def _mounted(self) -> dict[str, Path]:
        """Write the configs and return each mount's path in a container with the one here, secrets' files too."""
        found = {}
        for service in self.document["services"].values():
            for mount in service.get("configs", ()):
                found[mount["target"]] = self.folder / "configs" / mount["source"]
            for name in service.get("secrets", ()):
                found[f"/run/secrets/{name}"] = Path(self.document["secrets"][name]["file"])
        self._files = {"/var/lib/attune": self.home}
        for path in found.values():
            if path.parent.name == "configs":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(mode=0o600)
                path.write_text(self.here(self.document["configs"][path.name]["content"]), encoding="utf-8")
        return found


def image_environment() -> dict[str, str]:
    """Return what the Dockerfile's ENV gives every service of the image."""
    text = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    block = re.search(r"^ENV ((?:.*\\\n)*.*)$", text, flags=re.MULTILINE)
    assert block is not None
    return dict(pair.split("=", 1) for pair in block[1].replace("\\\n", " ").split())


def free_ports(count: int) -> list[int]:
    """Return ports that are free now, each another one."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def order(document: dict[str, Any]) -> list[list[str]]:
    """Return the services in the steps in which `depends_on` lets them start."""
    needs = {name: set(entry.get("depends_on", {})) for name, entry in document["services"].items()}
    steps: list[list[str]] = []
    while needs:
        ready = [name for name, before in needs.items() if not before & set(needs)]
        assert ready, f"expected no circle in depends_on, found {needs}"
        steps.append(ready)
        needs = {name: before for name, before in needs.items() if name not in ready}
    return steps
