"""Run an Airflow that belongs to one home: its own folder, database, secrets and port.

It takes nothing from the surrounding environment's Airflow settings and listens on the loopback only, so it neither
meets nor disturbs another Airflow on the machine.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from training.contracts.consumers import CONSUMERS
from training.contracts.errors import AttuneError
from training.settings import REPO_ROOT, Settings

from local.processes import Services
from local.rest import Api, Unreachable

DAGS = REPO_ROOT / "dags"
START_TIMEOUT_S = 180.0
POOLS = {"warehouse": 1, "serving": 1, "training": 1}
"""One slot each, as `orchestration.assets` explains; named here too, because importing Airflow takes seconds."""
COMPONENTS = ("api-server", "scheduler", "dag-processor")
TRIGGERER = "triggerer"
"""Nothing here defers; but the home of Airflow shows a triggerer in red where none runs. It is not waited for."""


def dag_ids() -> set[str]:
    """Return the DAGs to wait for: one per file, but for the consumers', which share one."""
    files = {path.stem for path in DAGS.glob("*.py")} - {"train_consumers"}
    return files | {f"train_{consumer}" for consumer in CONSUMERS}


class LocalAirflow:
    """Airflow under `<home>/airflow`."""

    def __init__(self, settings: Settings) -> None:
        """Choose the home's stored port, or a new one where that is taken; nothing is started."""
        self.home = settings.home / "airflow"
        self.settings = settings
        self.services = Services(self.home)
        self.port = stored_port(self.home, "airflow", reuse_taken=bool(self.services.running()))
        self.api = Api(f"http://127.0.0.1:{self.port}")

    @property
    def address(self) -> str:
        """Where the UI and the REST API answer."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        """Return the environment of Airflow and of every task."""
        outside = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        quiet = {"DO_NOT_TRACK": "1", "GX_ANALYTICS_ENABLED": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        own = {"ATTUNE_HOME": str(self.settings.home), "ATTUNE_SCHEDULE": os.environ.get("ATTUNE_SCHEDULE", "manual")}
        if self.settings.stream:
            own["ATTUNE_STREAM"] = self.settings.stream
        own["PYTHONPATH"] = os.pathsep.join(filter(None, [str(DAGS), os.environ.get("PYTHONPATH")]))
        return {**outside, **quiet, **own, **self._airflow_settings()}

    def begin(self) -> None:
        """Prepare the database and start the components, without waiting for them.

        Raises:
            AttuneError: They are running already, or the database cannot be made.
        """
        self.require_stopped()
        self.services.stop()
        self._migrate()
        for component in COMPONENTS:
            self._start(component)

    def command(self, component: str) -> list[str]:
        """Return the command line that starts a component."""
        if component == "scheduler" and sys.platform == "linux":  # elsewhere a task starts a Python of its own
            return [sys.executable, "-m", "local.warm_scheduler", "--skip-serve-logs"]
        options = {
            "api-server": ["--port", str(self.port), "--host", "127.0.0.1", "--workers", "1"],
            "scheduler": ["--skip-serve-logs"],
            TRIGGERER: ["--skip-serve-logs"],
        }
        return [sys.executable, "-m", "airflow", component, *options.get(component, [])]

    def require_stopped(self) -> None:
        """Raise AttuneError if a server of this home is running."""
        if running := self.services.running():
            found = ", ".join(running)
            raise AttuneError(f"expected no server on {self.settings.home}, found {found}; stop it with `make down`")

    def wait_ready(self, say: Callable[[str], None]) -> None:
        """Wait until every component is healthy and every DAG is known, then create the pools and start the triggerer.

        Raises:
            AttuneError: A component ended, a DAG does not import, or it takes too long.
        """
        deadline, shown = time.monotonic() + START_TIMEOUT_S, ""
        while (missing := self._missing()) and time.monotonic() < deadline:
            self.check_alive()
            if missing != shown:
                say(f"waiting for {missing}")
                shown = missing
            time.sleep(1)
        if missing:
            raise AttuneError(
                f"expected Airflow ready within {START_TIMEOUT_S:.0f} s, found it waiting for {missing}; "
                f"its logs are in {self.home / 'logs'}"
            )
        for name, slots in POOLS.items():
            self.api.ensure_pool(name, slots)
        self._start(TRIGGERER)

    def check_alive(self) -> None:
        """Raise AttuneError with the end of its log if a component has ended."""
        for entry in self.services.dead():
            lines = Path(entry["log"]).read_text(encoding="utf-8", errors="replace").splitlines()
            end = "\n".join(lines[-15:])
            raise AttuneError(f"expected {entry['name']} to go on running, found it ended; see {entry['log']}:\n{end}")

    def stop(self) -> list[str]:
        """Stop every component and task; nothing is left running and the port is free."""
        return self.services.stop()

    def _start(self, component: str) -> None:
        self.services.start(component, self.command(component), self.environment(), REPO_ROOT)

    def _missing(self) -> str:
        expected = dag_ids()
        try:
            unhealthy = self.api.unhealthy()
            if unhealthy:
                return ", ".join(unhealthy)
            if errors := self.api.import_errors():
                raise AttuneError(f"expected every DAG to import, found {errors[0]}")
            unknown = expected - self.api.dag_ids()
        except Unreachable:
            return "the API server"
        return f"the DAGs {', '.join(sorted(unknown))}" if unknown else ""

    def _migrate(self) -> None:
        stamp = self.home / "database.version"
        current = version("apache-airflow")
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == current:
            return
        self.home.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "airflow", "db", "migrate"]
        made = subprocess.run(
            command, env=self.environment(), cwd=REPO_ROOT, capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise AttuneError(f"expected a database under {self.home}, found: {made.stderr.strip()[-2000:]}")
        stamp.write_text(current, encoding="utf-8")

    def _airflow_settings(self) -> dict[str, str]:
        keys = _stored_secrets(self.home)
        values = {
            "core": {
                "dags_folder": DAGS,
                "load_examples": False,
                "executor": "LocalExecutor",
                "parallelism": os.cpu_count() or 2,
                "dags_are_paused_at_creation": False,
                "auth_manager": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
                "simple_auth_manager_all_admins": True,
                "fernet_key": keys["fernet_key"],
                "execution_api_server_url": f"{self.address}/execution/",
            },
            "api": {"base_url": self.address, "secret_key": keys["secret_key"]},
            "api_auth": {"jwt_secret": keys["jwt_secret"]},
            "database": {"sql_alchemy_conn": f"sqlite:///{self.home}/airflow.db"},
            "logging": {
                "base_log_folder": self.home / "task_logs",
                "namespace_levels": "great_expectations=WARNING alembic=WARNING",
            },
            "scheduler": {
                "max_dagruns_per_loop_to_schedule": 200,
                "max_dagruns_to_create_per_loop": 50,
                "scheduler_idle_sleep_time": 0.5,
                "task_instance_heartbeat_timeout": 120,
            },
            "dag_processor": {"parsing_processes": 1, "min_file_process_interval": 600, "refresh_interval": 600},
        }
        variables = {
            f"AIRFLOW__{section.upper()}__{name.upper()}": str(value)
            for section, entries in values.items()
            for name, value in entries.items()
        }
        return {"AIRFLOW_HOME": str(self.home), **variables}


def stored_port(folder: Path, name: str, reuse_taken: bool = False) -> int:
    """Return the port that `folder` remembers for a server, or a free one, remembered from now on.

    Args:
        folder: Where `ports.json` lies.
        name: Of the server.
        reuse_taken: Keep the remembered port although it is taken, because our own server holds it.
    """
    record = folder / "ports.json"
    ports: dict[str, int] = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    if name in ports and (reuse_taken or _is_free(ports[name])):
        return ports[name]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        ports[name] = probe.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(ports), encoding="utf-8")
    return ports[name]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _stored_secrets(folder: Path) -> dict[str, str]:
    path = folder / "secrets.json"
    if path.is_file():
        stored: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return stored
    import base64

    fernet = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    fresh = {"fernet_key": fernet, "secret_key": secrets.token_hex(32), "jwt_secret": secrets.token_hex(32)}
    folder.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(fresh), encoding="utf-8")
    return fresh
