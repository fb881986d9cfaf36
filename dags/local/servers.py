"""Bring up Airflow, MLflow and the lookup server of one home in the background, and bring them down again."""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from training.contracts.errors import AttuneError
from training.settings import REPO_ROOT, Settings

from local.instance import LocalAirflow, stored_port

ANSWER_TIMEOUT_S = 90.0
FIRST_PAGES = {"mlflow": "/#/models", "lookup": "/docs"}
"""What a person is shown first: MLflow's own home tells of telemetry and of language models."""


def bring_up(settings: Settings, say: Callable[[str], None]) -> dict[str, str]:
    """Start the servers, wait until they answer, and return their addresses; a failed start leaves nothing running.

    Raises:
        AttuneError: They run already, or one does not come up.
    """
    airflow = LocalAirflow(settings)
    ports = {name: stored_port(airflow.home, name) for name in ("mlflow", "lookup")}
    addresses = {"Airflow": airflow.address, **{name: f"http://127.0.0.1:{port}" for name, port in ports.items()}}
    airflow.require_stopped()
    try:
        airflow.begin()
        for name, command in server_commands(settings, ports).items():
            airflow.services.start(name, command, {**airflow.environment(), **MLFLOW_ENVIRONMENT}, REPO_ROOT)
        airflow.wait_ready(say)
        wait_answers(airflow, {name: addresses[name] for name in ports}, say)
    except BaseException:
        airflow.stop()
        raise
    for name, address in addresses.items():
        say(f"{name:<8} {address}{FIRST_PAGES.get(name, '')}")
    say("stop them with `make down`")
    return addresses


MLFLOW_ENVIRONMENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}


def server_commands(settings: Settings, ports: dict[str, int]) -> dict[str, list[str]]:
    """Return the commands of the MLflow server and of the lookup server."""
    mlflow = ["server", "--host", "127.0.0.1", "--port", str(ports["mlflow"]), "--workers", "1"]
    store = ["--backend-store-uri", settings.mlflow_uri]
    lookup = ["serve", "--host", "127.0.0.1", "--port", str(ports["lookup"])]
    return {
        "mlflow": [sys.executable, "-m", "mlflow", *mlflow, *store],
        "lookup": [sys.executable, "-m", "serving_export", *lookup],
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
