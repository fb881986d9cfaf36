"""Speak to Airflow's public REST API, the one that its UI speaks to."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition

BUSY = (502, 503)
"""What Airflow answers while its database is locked."""
BROKEN = 500
"""What a read of asset events answers while a run that one of them made has not started (its start is null)."""
TRIES = 10
PAGE = 100
"""Entries asked for at once; Airflow cuts longer pages to its own `maximum_page_limit`."""


class Unreachable(AttuneError):
    """Nothing answers at the address, or it is too busy to."""


class Api:
    """Airflow's REST API at one address; the local Airflow lets every local caller in, others want a token."""

    def __init__(self, address: str, token: str = "") -> None:
        """Remember the address and the token; nothing is sent."""
        self.address, self._token = address, token

    def unhealthy(self) -> list[str]:
        """Return the components that do not report themselves healthy."""
        health = self._once("GET", "/api/v2/monitor/health")
        return [name for name in ("metadatabase", "scheduler", "dag_processor") if _status(health, name) != "healthy"]

    def import_errors(self) -> list[str]:
        """Return what keeps DAG files from being imported."""
        errors = self._all("/api/v2/importErrors", "import_errors")
        return [f"{error['filename']}: {error['stack_trace'].strip()}" for error in errors]

    def dag_ids(self) -> set[str]:
        """Return the ids of the DAGs that Airflow knows."""
        return {dag["dag_id"] for dag in self._all("/api/v2/dags", "dags")}

    def ensure_pool(self, name: str, slots: int) -> None:
        """Create a pool, or set its slots."""
        body = {"name": name, "slots": slots, "include_deferred": False}
        try:
            self._send("PATCH", f"/api/v2/pools/{name}", body)
        except AttuneError:
            self._send("POST", "/api/v2/pools", body)

    def backfill(self, dag_id: str, first: Partition, last: Partition, conf: dict[str, Any] | None = None) -> int:
        """Start a backfill of the partitions from `first` to `last`, both included, as the UI's form does.

        Partitions that were run before are run again. Returns the backfill's number.
        """
        body = {
            "dag_id": dag_id,
            "from_date": _midnight(first),
            "to_date": _midnight(last),
            "run_backwards": False,
            "max_active_runs": 3,
            "reprocess_behavior": "completed",
            "dag_run_conf": conf or {},
        }
        number: int = self._send("POST", "/api/v2/backfills", body)["id"]
        return number

    def backfill_is_complete(self, number: int) -> bool:
        """Return whether Airflow has closed a backfill."""
        return self._get(f"/api/v2/backfills/{number}")["completed_at"] is not None

    def abandon(self) -> list[str]:
        """End what an interrupted session left unfinished, so that it holds no pool slot and blocks no backfill.

        Returns:
            The ids of the runs that were ended; running a partition again does its work.
        """
        active = [run for run in self.runs() if run["state"] in ("queued", "running")]
        for dag_id in sorted({run["dag_id"] for run in self.runs()}):
            for found in self._all("/api/v2/backfills", "backfills", dag_id=dag_id):
                if found["completed_at"] is None:
                    self._send("PUT", f"/api/v2/backfills/{found['id']}/cancel")
        for run in active:
            self._send("PATCH", _run_path(run["dag_id"], run["dag_run_id"]), {"state": "failed"})
        return [run["dag_run_id"] for run in active]

    def trigger(self, dag_id: str, partition: str | None, conf: dict[str, Any] | None = None) -> str:
        """Start one run by hand and return its id."""
        body = {"logical_date": None, "partition_key": partition, "conf": conf or {}}
        run_id: str = self._send("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"]
        return run_id

    def runs(self, known: Collection[str] = ()) -> list[dict[str, Any]]:
        """Return the runs of all DAGs that are not among `known`, oldest first.

        Runs are read from the newest back to the first known one, so that watching a home of many runs stays cheap.
        """
        new: list[dict[str, Any]] = []
        for page in self._pages("/api/v2/dags/~/dagRuns", "dag_runs", order_by="-id"):
            new += [run for run in page if run["dag_run_id"] not in known]
            if any(run["dag_run_id"] in known for run in page):
                break
        return new[::-1]

    def tasks(self, since: datetime) -> list[dict[str, Any]]:
        """Return the task instances that started at or after `since`."""
        path, since_text = "/api/v2/dags/~/dagRuns/~/taskInstances", since.isoformat()
        return self._all(path, "task_instances", start_date_gte=since_text, order_by="start_date")

    def tasks_of(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of one run, started or not."""
        return self._all(f"{_run_path(dag_id, run_id)}/taskInstances", "task_instances")

    def task_log(self, task: dict[str, Any]) -> list[str]:
        """Return the lines of a task instance's last try."""
        run = _run_path(task["dag_id"], task["dag_run_id"])
        path = f"{run}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        return [_log_line(entry) for entry in self._get(path, full_content="true")["content"]]

    def asset_events(self, since: datetime) -> list[dict[str, Any]]:
        """Return the asset events at or after `since`, oldest first, each with the runs that it created."""
        path, since_text = "/api/v2/assets/events", since.isoformat()
        return self._all(path, "asset_events", timestamp_gte=since_text, order_by="timestamp")

    def assets_by_dag(self) -> dict[str, set[str]]:
        """Return the names of the assets that each asset-scheduled DAG waits for."""
        needs: dict[str, set[str]] = {}
        for asset in self._all("/api/v2/assets", "assets"):
            for dag in asset["scheduled_dags"]:
                needs.setdefault(dag["dag_id"], set()).add(asset["name"])
        return needs

    def _all(self, path: str, what: str, **query: Any) -> list[dict[str, Any]]:
        return [entry for page in self._pages(path, what, **query) for entry in page]

    def _pages(self, path: str, what: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield the pages of a list until all its entries were seen."""
        seen = 0
        while True:
            page = self._get(path, limit=PAGE, offset=seen, **query)
            yield page[what]
            seen += len(page[what])
            if not page[what] or seen >= page.get("total_entries", 0):
                return

    def _get(self, path: str, **query: Any) -> Any:
        return self._send("GET", path + (f"?{urllib.parse.urlencode(query)}" if query else ""))

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        for attempt in range(TRIES):
            try:
                return self._once(method, path, body)
            except Unreachable:
                if attempt == TRIES - 1:
                    raise
                time.sleep(0.5 * 1.5**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.address + path, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        request.add_header("Accept", "application/json")
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")[:1000]
            passing = error.code in BUSY or (error.code == BROKEN and method == "GET")
            kind = Unreachable if passing else AttuneError
            raise kind(f"expected {method} {self.address}{path} to be done, found {error.code}: {text}") from error
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            raise Unreachable(
                f"expected Airflow at {self.address}, found {error}; see its logs, or `make up`"
            ) from error


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id, safe='')}"


def _status(health: dict[str, Any], name: str) -> str:
    return str((health.get(name) or {}).get("status"))


def _midnight(partition: Partition) -> str:
    return partition.starts_at.isoformat()


def _log_line(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    detail = "".join(f"\n    {error['exc_type']}: {error['exc_value']}" for error in entry.get("error_detail") or ())
    return f"{(entry.get('timestamp') or '')[:19]} {entry.get('event', '')}{detail}".strip()
