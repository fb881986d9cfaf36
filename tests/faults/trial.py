"""Try one fault on one job: strike, look, reconcile, run again, and compare with a run that was left alone."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.faults.jobs import Job
from tests.faults.seam import Fault, Outcome, run
from tests.faults.state import answers, contents, differences, in_child, leftovers


class HomesOfJobs(Protocol):
    """Where jobs are tried: a home that is put into the state just before a job."""

    home: Path

    def put_before(self, job: Job) -> None: ...


@dataclass
class Undisturbed:
    """What a job does when nothing happens: its places, what is served before and after, and what it leaves."""

    places: list[str]
    before: Any
    after: Any
    contents: dict[str, str]
    wall_s: float = 0.0


@dataclass
class Result:
    """What became of one fault; no `wrong` means that it was survived."""

    fault: Fault
    struck: bool
    status: int
    wrong: list[str] = field(default_factory=list)


def undisturbed(homes: HomesOfJobs, job: Job) -> Undisturbed:
    """Return what a job that is left alone goes through, and what it leaves once all is in line with it.

    Raises:
        AssertionError: The job fails by itself.
    """
    homes.put_before(job)
    before = _answers(homes)
    outcome = _run(homes, job)
    assert outcome.status == 0, f"{job.name}: {outcome.said}"
    settled = run(lambda: job.reconcile(homes.home), homes.home)
    assert settled.status == 0, f"reconcile after {job.name}: {settled.said}"
    after, left = _answers(homes), _contents(homes)
    assert "error" not in before | after | left, (before, after, left.get("error"))
    return Undisturbed(outcome.places, before, after, left)


def try_fault(homes: HomesOfJobs, job: Job, whole: Undisturbed, fault: Fault) -> Result:
    """Return what a fault does to a job."""
    homes.put_before(job)
    wrong: list[str] = []

    def look() -> None:
        wrong.extend(_served("while it hangs", _answers(homes), whole))

    outcome = run(lambda: job.run(homes.home), homes.home, fault, hang_s=0.0, while_hanging=look)
    result = Result(fault, outcome.struck, outcome.status, wrong)
    if not outcome.struck:
        return result
    wrong += _told(outcome)
    wrong += _served("after the fault", _answers(homes), whole)
    for path in leftovers(homes.home):
        os.utime(path, (1, 1), follow_symlinks=False)  # they are swept once they have been there for a while
    wrong += _completes("reconcile", run(lambda: job.reconcile(homes.home), homes.home))
    wrong += _served("after reconcile", _answers(homes), whole)
    wrong += _completes("the job again", _run(homes, job))
    if not wrong:
        wrong += in_the_end(homes, job, whole)
    return result


def in_the_end(homes: HomesOfJobs, job: Job, whole: Undisturbed) -> list[str]:
    """Return what differs from a run that was left alone: what is served, what is stored, and what is left over."""
    wrong = _completes("reconcile in the end", run(lambda: job.reconcile(homes.home), homes.home))
    wrong += [] if _answers(homes) == whole.after else ["in the end something else is served"]
    found = differences(_contents(homes), whole.contents)
    wrong += [name for name in found if not re.search(job.tells_of_tries, name)][:5]
    return wrong + [f"left over: {path.relative_to(homes.home)}" for path in leftovers(homes.home)]


def _run(homes: HomesOfJobs, job: Job) -> Outcome:
    return run(lambda: job.run(homes.home), homes.home)


def _answers(homes: HomesOfJobs) -> Any:
    return in_child(lambda: answers(homes.home / "published"))


def _contents(homes: HomesOfJobs) -> dict[str, str]:
    found: dict[str, str] = in_child(lambda: contents(homes.home))
    return found


def _told(outcome: Outcome) -> list[str]:
    """One line says what is wrong, names a thing, and no traceback is shown, unless the process was killed."""
    if outcome.status in (0, -9):
        return []
    lines = [line for line in outcome.said.splitlines() if line.startswith("error: ")]
    if outcome.status != 1 or len(lines) != 1:
        return [f"exit status {outcome.status} with {len(lines)} error lines: {outcome.said[-300:]!r}"]
    if "Traceback (most recent call last)" in outcome.said:
        return [f"a traceback beside {lines[0]!r}"]
    return [] if re.search(r"/|ledger|MLflow|online|\b\w+\.db\b", lines[0]) else [f"names nothing: {lines[0]!r}"]


def _served(when: str, found: Any, whole: Undisturbed) -> list[str]:
    """Every snapshot answers as before or as after; where an older space is kept back, only that one as before."""
    states = (whole.before, whole.after)
    strange = [name for name in found if found[name] not in [state.get(name) for state in states]]
    missing = [] if found or not whole.before else ["nothing"]
    return [f"{when} neither before nor after is served: {name} {found.get(name)}" for name in strange + missing]


def _completes(what: str, outcome: Outcome) -> list[str]:
    return [] if outcome.status == 0 else [f"{what} ended with {outcome.status}: {outcome.said[-300:]!r}"]
