"""Try the faults that were chosen, job after job, and tell each result as it comes."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.faults.choice import faults_of, share_of
from tests.faults.homes import Homes, tried_jobs
from tests.faults.jobs import Job
from tests.faults.pairs import try_two_at_once
from tests.faults.seam import Fault
from tests.faults.table import TWO_AT_ONCE
from tests.faults.trial import Undisturbed, try_fault, undisturbed
from tests.faults.warm import warm


def tried(folder: Path, options: argparse.Namespace, done: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield one row for each fault: what it was tried on, and what was wrong afterwards.

    Args:
        folder: Where the homes lie.
        options: Of the command line.
        done: The rows that are there already; their faults are not tried again.
    """
    until = time.monotonic() + 60 * options.minutes
    known = {(row["home"], row["job"], row["fault"]) for row in done}
    wanted = set(filter(None, options.jobs.split(",")))
    for kind, homes, job in _jobs(folder, options):
        if wanted and job.name not in wanted:
            continue
        whole = undisturbed(homes, job)
        faults = share_of(faults_of(whole.places, every=options.all), options.num)
        for fault in (None, *faults):
            name = str(fault or TWO_AT_ONCE)
            if (kind, job.name, name) in known:
                continue
            if time.monotonic() > until:
                return
            yield _row(kind, homes, job, whole, fault) | {"fault": name}


def _row(kind: str, homes: Any, job: Job, whole: Undisturbed, fault: Fault | None) -> dict[str, Any]:
    """Return what became of a fault, or of two of a job at once."""
    started = time.monotonic()
    if fault is None:
        struck, wrong = True, try_two_at_once(homes, job, whole)
    else:
        result = try_fault(homes, job, whole, fault)
        struck, wrong = result.struck, result.wrong
    wall_s = round(time.monotonic() - started, 1)
    counts = {"points": len(whole.places), "places": len(set(whole.places))}
    return {"home": kind, "job": job.name, **counts, "struck": struck, "wrong": wrong, "wall_s": wall_s}


def _jobs(folder: Path, options: argparse.Namespace) -> Iterator[tuple[str, Any, Job]]:
    from tests.faults import worlds

    warm()
    if options.worlds:
        homes = worlds.WorldHomes(folder / "drawn")
        yield from (("drawn", homes, job) for job in worlds.JOBS)
        return
    real = Homes(folder, lambda line: sys.stderr.write(f"{line}\n"))
    real.prepare()
    yield from (("trained", real, job) for job in tried_jobs())
