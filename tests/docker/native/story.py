"""Days through the profile: one undisturbed, and others in which the worker at a task is lost in the middle of it."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.logs import LogSource, deliver, stage
from local.rest import Api
from local.run import backfill
from local.watch import Watch

from serving_export.access.book import read_book
from serving_export.access.tokens import issue
from tests.docker.native.stack import Stack
from training.contracts.partitions import Partition
from training.settings import Settings

LOGS = LogSource(simulated={"num_users": 300, "num_items": 100, "num_days": 12})
DAGS_KNOWN_WITHIN_S = 180.0
TASK_BEGINS_WITHIN_S = 900.0
ASKED_AT_ONCE = 100


@dataclass
class Answers:
    """What a reader that never stops was answered.

    Attributes:
        num: Requests that were answered by vectors.
        spaces: The spaces that answers named, in order of appearance.
        wrong: Errors, missing users, and answers of one space that differ for one user within one snapshot.
    """

    num: int = 0
    spaces: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Lost:
    """What the loss of a worker cost.

    Attributes:
        task: DAG and task.
        worker: The one that was killed.
        taken_up_s: From the kill to the start of the next try.
        done_s: From the kill to the end of the task.
        state: In which it ended.
        tries: How many the task took.
        next_worker: Where the last try ran.
    """

    task: str
    worker: str
    taken_up_s: float
    done_s: float
    state: str
    tries: int
    next_worker: str


class Story:
    """One stack with small simulated logs."""

    def __init__(self, stack: Stack, access: Path, admin_password: str, say: Callable[[str], None]) -> None:
        """Log in, stage the logs and wait until Airflow knows the DAGs."""
        self.stack, self.say, self.world = stack, say, stack.world
        self.settings = Settings.from_env({"ATTUNE_HOME": str(self.world.home)})
        address = f"http://127.0.0.1:{self.world.port('airflow-api')}"
        login = {"username": "admin", "password": admin_password}
        self.api = stack.api = Api(address, _post(f"{address}/auth/token", login)["access_token"])
        now = datetime.now(UTC)
        self._token = issue(read_book(access), "check", ["lookup", "status"], timedelta(hours=6), now)
        self.days = stage(self.settings, LOGS)
        self._await_dags()

    def _await_dags(self) -> None:
        deadline = time.monotonic() + DAGS_KNOWN_WITHIN_S
        while "promote_space" not in self.api.dag_ids() or self.api.unhealthy():
            assert time.monotonic() < deadline, "expected Airflow to know its DAGs"
            time.sleep(1)

    def bring(self, day: Partition) -> None:
        """Deliver a day, trigger it through the REST API and wait for all that follows."""
        deliver(self.settings, LOGS, day)
        backfill(self.stack, Watch(self.stack, self.say), [day], self.say)

    def bring_and_lose(self, day: Partition, losses: Sequence[tuple[str, str, Callable[[], bool]]]) -> list[Lost]:
        """Bring a day, and kill the worker that runs a task, for one task after the other; each comes up again later.

        Args:
            day: Whose logs.
            losses: DAG, task, and what says that it is in the middle of its work.
        """
        with ThreadPoolExecutor(1) as pool:
            losing = pool.submit(lambda: [self._lose(day, *loss) for loss in losses])
            self.bring(day)
            return losing.result(timeout=10)

    def _lose(self, day: Partition, dag_id: str, task_id: str, is_at_work: Callable[[], bool]) -> Lost:
        pid = self._pid_of_try(day, dag_id, task_id, 1)
        deadline = time.monotonic() + TASK_BEGINS_WITHIN_S
        while not is_at_work():
            assert time.monotonic() < deadline, f"expected {task_id} at work"
            time.sleep(0.01)
        worker = self._worker_of(pid)
        self.stack.kill(worker)
        killed_at = time.monotonic()
        self.say(f"killed {worker} in the middle of {dag_id} / {task_id}")
        next_worker = self._worker_of(self._pid_of_try(day, dag_id, task_id, 2))
        taken_up_s = time.monotonic() - killed_at
        self.stack.restart(worker)
        task = self._ended(day, dag_id, task_id)
        tries, done_s = task["try_number"], time.monotonic() - killed_at
        return Lost(f"{dag_id} / {task_id}", worker, taken_up_s, done_s, task["state"], tries, next_worker)

    def _ended(self, day: Partition, dag_id: str, task_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + TASK_BEGINS_WITHIN_S
        while (task := self._task(day, dag_id, task_id)) is None or task["state"] not in (
            "success",
            "failed",
            "skipped",
        ):
            assert time.monotonic() < deadline, f"expected {task_id} to end"
            time.sleep(1)
        return task

    def _pid_of_try(self, day: Partition, dag_id: str, task_id: str, number: int) -> int:
        """Wait until a try of a task runs, and return its process."""
        deadline = time.monotonic() + TASK_BEGINS_WITHIN_S
        while time.monotonic() < deadline:
            task = self._task(day, dag_id, task_id)
            if task and task["state"] == "running" and task["pid"] and task["try_number"] >= number:
                return int(task["pid"])
            time.sleep(0.3)
        raise AssertionError(f"expected try {number} of {task_id} to begin")

    def _task(self, day: Partition, dag_id: str, task_id: str) -> dict[str, Any] | None:
        runs = [run for run in self.api.runs() if run["dag_id"] == dag_id and run["partition_key"] == str(day)]
        if not runs:
            return None
        return next(t for t in self.api.tasks_of(dag_id, runs[-1]["dag_run_id"]) if t["task_id"] == task_id)

    def _worker_of(self, pid: int) -> str:
        """Return the worker among whose processes `pid` is."""
        session = os.getsid(pid)
        return next(e["name"] for e in self.stack.services.recorded() if e["pid"] == session)

    def users(self) -> list[str]:
        """Return users that every snapshot must hold."""
        import pyarrow.parquet as pq

        newest = sorted((self.settings.home / "features" / "user_profile").glob("dt=*/*.parquet"))[-1]
        return [str(user) for user in pq.read_table(newest, columns=["user_id"])["user_id"].to_pylist()]

    def look_up(self, users: list[str]) -> dict[str, Any]:
        """Return the lookup service's answer, asked with a team's token."""
        url = f"http://127.0.0.1:{self.world.port('lookup')}/embeddings"
        return _post(url, {"user_ids": users}, self._token)

    def reading(self, users: list[str]) -> tuple[Answers, Callable[[], None]]:
        """Look users up again and again in a thread; return what it gathers and a function that ends it."""
        found, ended = Answers(), threading.Event()

        def loop() -> None:
            rows: dict[tuple[str, str], Any] = {}
            while not ended.wait(0.2):
                _gather(found, rows, users, lambda: self.look_up(users))

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        return found, lambda: (ended.set(), thread.join(30))[1]

    def open_doors(self, variables: dict[str, str]) -> list[str]:
        """Return what answers a stranger, and the secrets that lie in the shared home or in a log."""
        ports = {name: self.world.port(name) for name in ("airflow-api", "mlflow", "lookup")}
        asked = {
            "airflow-api": "/api/v2/dags",
            "mlflow": "/api/2.0/mlflow/experiments/search?max_results=1",
            "lookup": "/users/u00000/embedding",
        }
        found = [f"{name} lets strangers in" for name, path in asked.items() if _status(ports[name], path) != 401]
        for folder in (self.world.home, self.stack.services.folder):
            for path in (path for path in folder.rglob("*") if path.is_file()):
                content = path.read_bytes()
                found += [
                    f"{name} lies in {path}" for name, value in variables.items() if _is_secret(name, value, content)
                ]
        return found

    def status(self) -> dict[str, Any]:
        """Return what `attune status` says in the lookup service."""
        return dict(self.stack.run_in("lookup", "python", "-m", "serving_export", "status", "--json"))

    def reconcile(self) -> dict[str, Any]:
        """Return what `attune reconcile` says in the lookup service."""
        return dict(self.stack.run_in("lookup", "python", "-m", "serving_export", "reconcile", "--json"))


def _gather(found: Answers, rows: dict[tuple[str, str], Any], users: list[str], ask: Callable[[], Any]) -> None:
    try:
        answer = ask()
    except (urllib.error.URLError, OSError) as error:
        found.wrong.append(f"{error}")
        return
    found.num += 1
    if answer["space_id"] not in found.spaces:
        found.spaces.append(answer["space_id"])
    snapshot = f"{answer['space_id']} {answer['partition']}"
    got = {row["user_id"]: row["vector"] for row in answer["users"]}
    found.wrong += [f"{snapshot} lacks {user}" for user in users if user not in got]
    found.wrong += [f"{snapshot} {u}" for u, v in got.items() if rows.setdefault((snapshot, u), v) != v]


def _status(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def _is_secret(name: str, value: str, content: bytes) -> bool:
    return name.endswith(("PASSWORD", "KEY", "SECRET")) and value.encode() in content


def _post(url: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return dict(json.loads(answer.read()))
