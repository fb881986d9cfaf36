"""Bring up Airflow, MLflow, the lookup server and the stream's worker of one home in the background, and down again."""

from __future__ import annotations

import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace

from training.contracts.errors import AttuneError
from training.settings import REPO_ROOT, Settings, without_credentials

from local.instance import LocalAirflow, stored_port

ANSWER_TIMEOUT_S = 90.0
FIRST_PAGES = {"mlflow": "/#/models", "lookup": "/docs", "stream": "/metrics"}
"""What a person is shown first: MLflow's own home tells of telemetry and of language models."""


def bring_up(settings: Settings, say: Callable[[str], None]) -> dict[str, str]:
    """Start the servers, wait until they answer, and return their addresses; a failed start leaves nothing running.

    Events are followed from the stream that is set, or from a server of the home's own.

    Raises:
        AttuneError: They run already, or one does not come up.
    """
    ports = {name: stored_port(settings.home / "airflow", name) for name in ("mlflow", "lookup", "stream", "valkey")}
    own = "" if settings.stream else f"redis://127.0.0.1:{ports['valkey']}/0"
    settings = replace(settings, stream=settings.stream or own)
    airflow = LocalAirflow(settings)
    addresses = {name: f"http://127.0.0.1:{ports[name]}" for name in ("mlflow", "lookup", "stream")}
    airflow.require_stopped()
    try:
        airflow.begin()
        if own:
            start_valkey(airflow, ports["valkey"])
        for name, command in server_commands(settings, ports).items():
            airflow.services.start(name, command, {**airflow.environment(), **MLFLOW_ENVIRONMENT}, REPO_ROOT)
        airflow.wait_ready(say)
        wait_answers(airflow, addresses, say)
    except BaseException:
        airflow.stop()
        raise
    addresses = {"Airflow": airflow.address, **addresses}
    for name, address in addresses.items():
        say(f"{name:<8} {address}{FIRST_PAGES.get(name, '')}")
    say(f"events are followed from {without_credentials(settings.stream)}; stop everything with `make down`")
    return addresses


MLFLOW_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "DO_NOT_TRACK": "1",
}
"""Without its telemetry, and without the eight processes, 1.4 GB, in which it judges language models."""


def start_valkey(airflow: LocalAirflow, port: int) -> None:
    """Start the home's own server of streams, which keeps on disk what no worker has taken in, and wait for it.

    Raises:
        AttuneError: It ends, or does not listen in time.
    """
    from serving_export.stream.own_server import valkey_command

    airflow.services.start("valkey", valkey_command(airflow.settings, port), airflow.environment(), REPO_ROOT)
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while not _listens(port):
        airflow.check_alive()
        if time.monotonic() > deadline:
            raise AttuneError(f"expected valkey on port {port}, found nothing; see {airflow.home / 'logs'}")
        time.sleep(0.1)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def server_commands(settings: Settings, ports: dict[str, int]) -> dict[str, list[str]]:
    """Return the commands of the MLflow server, of the lookup server and of the stream's worker."""
    mlflow = ["server", "--host", "127.0.0.1", "--port", str(ports["mlflow"]), "--workers", "1"]
    store = ["--backend-store-uri", settings.mlflow_uri]
    lookup = ["serve", "--host", "127.0.0.1", "--port", str(ports["lookup"])]
    return {
        "mlflow": [sys.executable, "-m", "mlflow", *mlflow, *store],
        "lookup": [sys.executable, "-m", "serving_export", *lookup],
        "stream": [sys.executable, "-m", "serving_export", "stream", "--metrics-port", str(ports["stream"])],
    }


def bring_down(settings: Settings, say: Callable[[str], None]) -> list[str]:
    """Stop every server of this home with all its children, and return their names."""
    stopped = LocalAirflow(settings).stop()
    say(f"stopped {', '.join(stopped)}" if stopped else f"nothing was running on {settings.home}")
    return stopped


def wait_answers(airflow: LocalAirflow, addresses: dict[str, str], say: Callable[[str], None]) -> None:
    """Wait until every address answers something over HTTP.

    Raises:
        AttuneError: One has ended, or does not answer in time.
    """
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    for name, address in addresses.items():
        while not answers(address):
            airflow.check_alive()
            if time.monotonic() > deadline:
                raise AttuneError(f"expected {name} to answer at {address}, found silence; see {airflow.home / 'logs'}")
            time.sleep(0.5)
        say(f"{name} answers")


def answers(address: str) -> bool:
    """Return whether an HTTP server answers there, whatever it says."""
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
