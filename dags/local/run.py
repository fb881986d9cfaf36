"""Take logs through the whole workflow in a local Airflow, as a person would in its UI, and stop it.

Airflow is started, logs up to the day before the last are delivered, the days before it are backfilled through the REST
call behind the UI's form, and the cascade is waited for; then the last day is delivered and backfilled, and what was
built is said. A refused gate is an outcome; a failed task ends the run with its log.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.settings import Settings

from local.instance import LocalAirflow
from local.logs import LogSource, deliver, stage
from local.summary import summary
from local.watch import Watch

ENTRY_DAG = "build_user_features"


def run(settings: Settings, source: LogSource, num_days: int, say: Any) -> str:
    """Take logs through the whole workflow in a real scheduler, stop it, and return the report.

    Args:
        settings: Whose home.
        source: Where the logs come from.
        num_days: How many of the last days go one by one; at least 2, so that one day's retrain follows another's.
        say: Prints a line of progress.
    """
    if num_days < 2:
        raise AttuneError(f"expected DAYS of at least 2, found {num_days}; a promotion and a refresh take two days")
    airflow = LocalAirflow(settings)
    with started(airflow, say) as staging:
        days = staging(source)
        if len(days) < num_days:
            raise AttuneError(f"expected logs of at least {num_days} days, found {len(days)}; name a lower DAYS")
        say(f"logs of {len(days)} days, {days[0]} to {days[-1]}; the last {num_days} go one by one")
        if left := airflow.api.abandon():
            say(f"ended {len(left)} runs that an interrupted session had left; their days are run again")
        watch = Watch(airflow, say)
        for part in (days[-num_days:-1], days[-1:]):
            deliver(settings, source, part[-1])
            runs = backfill(airflow, watch, part, say)
        outcomes = {run["dag_run_id"]: outcome(airflow, run) for run in runs}
    say("Airflow is stopped")
    return summary(settings, runs, outcomes)


def backfill(airflow: LocalAirflow, watch: Watch, days: list[Partition], say: Any) -> list[dict[str, Any]]:
    """Backfill `days`, wait for all that follows, and return the runs since the watch began."""
    say(f"backfill of {ENTRY_DAG}, {days[0]} to {days[-1]}")
    return watch.until_quiet(airflow.api.backfill(ENTRY_DAG, days[0], days[-1]))


def outcome(airflow: LocalAirflow, run: dict[str, Any]) -> str:
    """Return "done", or at which task the run ended because there was nothing to go on with."""
    tasks = airflow.api.tasks_of(run["dag_id"], run["dag_run_id"])
    skipped = sorted((task["start_date"] or "9", task["task_id"]) for task in tasks if task["state"] == "skipped")
    return f"ended at {skipped[0][1]}" if skipped else "done"


@contextlib.contextmanager
def started(airflow: LocalAirflow, say: Any) -> Iterator[Any]:
    """Start Airflow, yield a function that stages logs while it comes up, and stop it whatever happens."""
    airflow.require_stopped()
    with only_driver(airflow.home), ThreadPoolExecutor(1) as pool:
        try:
            say(f"starting Airflow at {airflow.address}, home {airflow.home}")
            airflow.begin()

            def staging(source: LogSource) -> list[Partition]:
                staged = pool.submit(stage, airflow.settings, source)
                airflow.wait_ready(say)
                return staged.result()

            yield staging
        finally:
            airflow.stop()


@contextlib.contextmanager
def only_driver(folder: Path) -> Iterator[None]:
    """Hold the home for this process.

    Raises:
        AttuneError: Another run is driving this home.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "driver.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AttuneError(
                f"expected no other run on {folder.parent}, found one; wait, or set ATTUNE_HOME"
            ) from error
        yield
