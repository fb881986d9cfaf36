"""Drive a local Airflow: `run` the main job and stop, or bring everything `up` and `down`. `make` calls this.

`run` does what a person would do in the UI: it starts Airflow, delivers logs up to the day before the last, backfills
the days before it through the REST call behind the UI's form, waits for the cascade, delivers the last day, backfills
that, and says what was built. A refused gate is an outcome; a failed task ends the run with its log and status 1.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.settings import Settings

from orchestration.local_airflow import LocalAirflow
from orchestration.local_logs import LogSource, deliver, preview, stage
from orchestration.local_servers import bring_down, bring_up
from orchestration.local_summary import summary
from orchestration.local_watch import Watch

ENTRY_DAG = "build_user_features"


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status."""
    given = build_parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    begun = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - begun:6.1f} s] {line}", flush=True)

    try:
        settings = Settings.from_env()
        if given.command == "up":
            bring_up(settings, say)
        elif given.command == "down":
            bring_down(settings, say)
        else:
            source = LogSource(folder=given.logs, format=given.format, columns=given.columns)
            if given.preview:
                print(preview(settings, source), flush=True)
                return 0
            print(run(settings, source, given.days, say), flush=True)
    except AttuneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing is left running, and the same command goes on from here", file=sys.stderr)
        return 1
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the commands."""
    parser = argparse.ArgumentParser(prog="python dags/orchestration/local.py", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    job = commands.add_parser("run", help="the main job, then stop")
    job.add_argument("--days", type=int, default=3, help="how many last days go one by one through the scheduler")
    look = commands.add_parser("preview", help="what an import would read and write")
    for command in (job, look):
        command.add_argument("--logs", type=_folder, help="folder of a data set; without it logs are simulated")
        command.add_argument("--format", type=_given, help="csv, or a public layout such as movielens")
        command.add_argument("--columns", type=_folder, help="column map of a csv data set")
    for command, default in ((job, ""), (look, "1")):
        command.add_argument("--preview", type=_yes, default=default, help="1: read and report, but write nothing")
    commands.add_parser("up", help="start Airflow, MLflow and the lookup server")
    commands.add_parser("down", help="stop them")
    return parser


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


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _folder(text: str) -> Path | None:
    return Path(text).expanduser() if text else None


def _yes(text: str) -> bool:
    return text.lower() not in ("", "0", "false", "no")


def _given(text: str) -> str | None:
    return text or None


if __name__ == "__main__":
    sys.exit(main())
