"""Follow a cascade of runs until nothing is left to do, saying what happens meanwhile.

Nothing is left when no run is queued or running and every event of an asset has become the runs that wait for it: the
scheduler makes them a moment after the producing run has ended, so the first condition alone would end too early.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from training.contracts.errors import AttuneError

from local.instance import LocalAirflow

POLL_S = 2.0
QUIET_LINE_S = 20.0
ACTIVE = ("queued", "running")
ENDED = ("success", "failed", "skipped", "upstream_failed", "up_for_retry")


class RunFailed(AttuneError):
    """A task failed; the message carries the end of its log."""


class Watch:
    """The runs of one Airflow from a moment on."""

    def __init__(self, airflow: LocalAirflow, say: Callable[[str], None]) -> None:
        """Begin to watch now; earlier runs are of no interest."""
        self._airflow, self._api, self._say = airflow, airflow.api, say
        self._begun_at = datetime.now(UTC)
        self._before = {run["dag_run_id"] for run in self._api.runs()}
        self._shown: dict[tuple[str, str, str, int], str] = {}
        self._spoken_at = time.monotonic()
        self._needs = self._api.assets_by_dag()

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs that were created since the watch began, oldest first."""
        return self._api.runs(self._before)

    def until_quiet(self, backfill: int | None = None) -> list[dict[str, Any]]:
        """Wait until every run and all that follows from it has ended, and return the runs.

        Args:
            backfill: A backfill that must be complete as well.

        Raises:
            RunFailed: A run failed.
            AttuneError: A component of Airflow ended.
        """
        while True:
            self._airflow.check_alive()
            runs = self.runs()
            self._show({run["dag_run_id"]: run for run in runs})
            for run in runs:
                if run["state"] == "failed":
                    raise RunFailed(self._explain(run))
            if not self._is_busy(runs, backfill) and self._are_all(runs):
                return runs
            time.sleep(POLL_S)

    def _is_busy(self, runs: list[dict[str, Any]], backfill: int | None) -> bool:
        if any(run["state"] in ACTIVE for run in runs):
            return True
        if backfill is not None and not self._api.backfill_is_complete(backfill):
            return True
        return bool(pending_runs(self._needs, self._api.asset_events(self._begun_at)))

    def _are_all(self, runs: list[dict[str, Any]]) -> bool:
        """Return whether `runs` is still complete: between the reads of runs and events, an event may make one."""
        return {run["dag_run_id"] for run in runs} == {run["dag_run_id"] for run in self.runs()}

    def _show(self, runs: dict[str, dict[str, Any]]) -> None:
        for task in self._api.tasks(self._begun_at):
            run = runs.get(task["dag_run_id"])
            key = (task["dag_id"], task["dag_run_id"], task["task_id"], task["try_number"])
            if run is None or task["state"] not in (*ENDED, "running") or self._shown.get(key) == task["state"]:
                continue
            self._shown[key] = task["state"]
            self._speak(task_line(task, run["partition_key"]))
        if time.monotonic() - self._spoken_at > QUIET_LINE_S:
            states = [run["state"] for run in runs.values()]
            counted = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
            self._speak(f"still at work: {counted or 'no run yet'}")

    def _speak(self, line: str) -> None:
        self._spoken_at = time.monotonic()
        self._say(line)

    def _explain(self, run: dict[str, Any]) -> str:
        name = f"{run['dag_id']} for {run['partition_key']}"
        tasks = self._api.tasks_of(run["dag_id"], run["dag_run_id"])
        failed = [task for task in tasks if task["state"] == "failed"]
        if not failed:
            return f"{name} failed before any of its tasks did; see {self._airflow.home / 'logs'}"
        end = "\n  ".join(self._api.task_log(failed[0])[-40:])
        return f"{name} failed in task {failed[0]['task_id']}; the end of its log:\n  {end}"


def pending_runs(needs: dict[str, set[str]], events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the (DAG, partition) pairs whose assets all have an event, the newest of which made no run of the DAG yet.

    Args:
        needs: For each DAG the assets that it waits for.
        events: Asset events, oldest first.
    """
    pending = []
    for dag_id, assets in needs.items():
        of_key: dict[str, list[dict[str, Any]]] = {}
        for event in events:
            if event["name"] in assets and event.get("partition_key"):
                of_key.setdefault(event["partition_key"], []).append(event)
        for key, found in of_key.items():
            made = {run["dag_id"] for run in found[-1]["created_dagruns"]}
            if {event["name"] for event in found} == assets and dag_id not in made:
                pending.append((dag_id, key))
    return pending


def task_line(task: dict[str, Any], partition: str | None) -> str:
    """Return one line of progress: partition, DAG, task, state, seconds."""
    seconds = f"{task['duration']:6.1f} s" if task["duration"] is not None and task["state"] != "running" else ""
    name = f"{task['dag_id']} / {task['task_id']}"
    return f"{partition or 'no key':<10}  {name:<40}  {task['state']:<16}{seconds}".rstrip()
