"""Backfill a month as a person does from the UI, and meanwhile pin, retrain, promote, erase and roll back.

Everything an operator does is a command line or a call of Airflow's REST API; what is waited for is read from the
pointer, as any reader would see it.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from local.instance import LocalAirflow
from local.logs import LogSource, deliver, stage
from local.run import ENTRY_DAG, backfill, outcome
from local.servers import bring_down, bring_up
from local.watch import Watch

from tests.dags.backfill.marks import Marks
from tests.dags.backfill.reader import Readings, read_on
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.registry.pointer import Pointer, find_pointer, read_pointer
from training.settings import REPO_ROOT, Settings

FIRST_DAYS = 14
"""Days of log before the backfill; the last of them brings the first promotion."""
PIN_AT, RETRAIN_AT = 3, 6
"""Days of the backfill that are served before each; what follows waits for what came of it."""
APART = 2
"""Days served between what follows."""
LEAST_DAYS = 14
"""Days of a backfill in which all of that happens before its end."""
POLL_S = 1.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How large the logs are, and where everything of a run lies."""

    folder: Path
    num_users: int = 300
    num_items: int = 120
    num_days: int = 30

    @property
    def source(self) -> LogSource:
        """Simulated logs: those before, the days to backfill, and one more, so that none of them is the newest."""
        days = FIRST_DAYS + self.num_days + 1
        return LogSource(simulated={"num_users": self.num_users, "num_items": self.num_items, "num_days": days})


@dataclass
class Told:
    """What a run saw.

    Attributes:
        runs: Every run of Airflow since the first backfill.
        tasks: Their task instances.
        outcomes: For each run id, its outcome in a word.
        steps: What the operator did, and what was served then.
        faults: What must not be, besides what the reader saw.
        reader: The reader's report.
        spaces: Every space that was live.
        seconds: Wall time.
    """

    runs: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    outcomes: dict[str, str] = field(default_factory=dict)
    steps: list[tuple[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    reader: dict[str, Any] = field(default_factory=dict)
    spaces: list[str] = field(default_factory=list)
    seconds: float = 0.0


def tell(plan: Plan, say: Say) -> Told:
    """Run the whole story in a home of its own and return what it saw; nothing is left running."""
    if plan.num_days < LEAST_DAYS:
        raise AttuneError(f"expected a backfill of {LEAST_DAYS} days at least, found {plan.num_days}; name more")
    begun = time.monotonic()
    settings = Settings.from_env({"ATTUNE_HOME": str(plan.folder / "home"), "ATTUNE_SCHEDULE": "manual"})
    days = stage(settings, plan.source)
    first, past = days[FIRST_DAYS - 1], days[FIRST_DAYS:-1]
    told = Told()
    try:
        bring_up(settings, say)
        airflow = LocalAirflow(settings)
        deliver(settings, plan.source, first)
        told.runs += backfill(airflow, Watch(airflow, say), [first], say)
        deliver(settings, plan.source, days[-1])
        operator = Operator(settings, airflow, plan.folder / "marks.json", past, told, say)
        with reading(settings, plan, told):
            _backfill_beside(operator, airflow, past, say)
        told.outcomes = {run["dag_run_id"]: outcome(airflow, run) for run in told.runs}
        told.tasks = [task for run in told.runs for task in airflow.api.tasks_of(run["dag_id"], run["dag_run_id"])]
    except AttuneError as error:
        told.faults.append(str(error))
    finally:
        bring_down(settings, say)
    told.seconds = time.monotonic() - begun
    return told


def _backfill_beside(operator: Operator, airflow: LocalAirflow, past: list[Partition], say: Say) -> None:
    """Backfill, with the operator at work beside it, and wait until all that follows from both has ended."""
    watch = Watch(airflow, say)
    say(f"backfill of {ENTRY_DAG}, {past[0]} to {past[-1]}")
    number = airflow.api.backfill(ENTRY_DAG, past[0], past[-1])
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(operator.work)
        try:
            watch.until_quiet(number)
        finally:
            operator.over.set()  # what is waited for and has not come will not come
        work.result()
    operator.told.runs += watch.until_quiet(number)
    operator.look_over()


@contextmanager
def reading(settings: Settings, plan: Plan, told: Told) -> Iterator[None]:
    """Let a process of its own read on meanwhile, and keep its report."""
    pointer = read_pointer(settings.published_dir)
    ports = json.loads((settings.home / "airflow" / "ports.json").read_bytes())
    readings = Readings(
        home=settings.home,
        port=ports["lookup"],
        users=tuple(known_users(settings)),
        items=tuple(known_items(settings, pointer)),
        frame=pointer.frame,
        marks=plan.folder / "marks.json",
        report=plan.folder / "reader.json",
    )
    spawn = multiprocessing.get_context("spawn")
    stop = spawn.Event()
    reader = spawn.Process(target=read_on, args=(readings, stop))
    reader.start()
    try:
        yield
    finally:
        stop.set()
        reader.join()
        told.reader = json.loads(readings.report.read_bytes())
        if reader.exitcode:
            told.faults.append(f"expected the reader to read on, found it ended with {reader.exitcode}")


def known_users(settings: Settings) -> list[str]:
    """Return everyone in the raw logs, known to a lookup yet or not."""
    files = settings.raw_dir("interactions").glob("dt=*/*.parquet")
    users = {user for file in files for user in pq.read_table(file, columns=["user_id"])["user_id"].to_pylist()}
    return sorted(users - {None})


def known_items(settings: Settings, pointer: Pointer) -> list[str]:
    """Return the items that the live snapshot ranks users for."""
    from serving_export.lookup import Snapshot
    from serving_export.packed import unpack_ids

    return unpack_ids(Snapshot(settings.published_dir, pointer.live).consumer("matching").items.ids)


@dataclass
class Operator:
    """Does by hand, one after the other, what must not be seen by a reader."""

    settings: Settings
    airflow: LocalAirflow
    marks: Path
    past: list[Partition]
    told: Told
    say: Say
    over: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        """Pin, retrain and promote, erase, roll back, each some served days after the one before."""
        first = self._pointer.live.space_id
        self._until_served(self.past[PIN_AT - 1])
        self._command("pin", "matching", first)
        self._mark(pinned=first)
        self._until_served(self.past[RETRAIN_AT - 1])
        self._retrain(Partition.parse(self._pointer.live.partition))
        self._until("a second promotion", lambda: self._pointer.live.space_id != first)
        self._note(f"promoted: live is {self._pointer.live.space_id} of {self._pointer.live.partition}")
        self._later()
        self._erase()
        self._later()
        self._command("rollback")
        if self._pointer.live.space_id != first:
            self.told.faults.append(f"expected {first} live after the rollback, found {self._pointer.live.space_id}")

    def look_over(self) -> None:
        """Say what is wrong once all is quiet: something names the erased, or a store is not in line."""
        self._command("erase", "--user", Marks.read(self.marks).erased, "--verify")
        self._command("reconcile")
        if self._pointer.live.partition != str(self.past[-1]):
            self.told.faults.append(f"expected {self.past[-1]} served, found {self._pointer.live.partition}")
        history = sorted((self.settings.published_dir / "history").glob("[0-9]*.json"))
        moved = (json.loads(path.read_bytes()) for path in history)
        self.told.spaces = list(dict.fromkeys(one["live"]["space_id"] for one in moved))

    @property
    def _pointer(self) -> Pointer:
        return read_pointer(self.settings.published_dir)

    def _retrain(self, day: Partition) -> None:
        self.airflow.api.trigger("train_user_encoder", str(day), {"retrain": "every_partition"})
        self._note(f"retrain of {day} through the REST API")

    def _erase(self) -> None:
        """Erase someone who was served a moment ago; from the command's end on nobody may read the user.

        The next day's run takes the user out of every file: `--now` would find what the runs beside it are writing.
        """
        from serving_export.snapshot import Snapshot
        from tests.dags.backfill.published import users_of

        user = sorted(users_of(Snapshot(self.settings.published_dir, self._pointer.live)))[7]
        self._mark(erasing=user)
        self._command("erase", "--user", user, "--reason", "asked for it")
        self._mark(erased=user)

    def _mark(self, **holds: str) -> None:
        replace(Marks.read(self.marks), **holds).write(self.marks)

    def _later(self) -> None:
        served = Partition.parse(self._pointer.live.partition).shift(APART)
        self._until_served(min(served, self.past[-1]))

    def _until_served(self, day: Partition) -> None:
        self._until(f"{day} served", lambda: self._pointer.live.partition >= str(day))

    def _until(self, what: str, holds: Callable[[], bool]) -> None:
        while not holds():
            if self.over.wait(POLL_S) and not holds():
                raise AttuneError(f"expected {what}, found {self._pointer.live} when the backfill was over")

    def _command(self, *words: str) -> None:
        """Run a command of Attune as a person would; a failure is a fault, and its line is kept."""
        environment = {**self.airflow.environment(), "ATTUNE_HOME": str(self.settings.home)}
        command = [sys.executable, "-m", "serving_export", *words]
        done = subprocess.run(command, cwd=REPO_ROOT, env=environment, capture_output=True, text=True, check=False)
        self._note(" ".join(["attune", *words]))
        if done.returncode:
            self.told.faults.append(f"attune {words[0]} ended with {done.returncode}: {done.stderr.strip()[-1000:]}")

    def _note(self, what: str) -> None:
        served = find_pointer(self.settings.published_dir)
        self.told.steps.append((served.live.partition if served else "", what))
        self.say(f"operator: {what}")
