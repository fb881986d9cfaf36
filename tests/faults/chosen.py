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
from tests.faults.trial import try_fault, undisturbed
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
        for fault in share_of(faults_of(whole.places, every=options.all), options.num):
            if (kind, job.name, str(fault)) in known:
                continue
            if time.monotonic() > until:
                return
            started = time.monotonic()
            result = try_fault(homes, job, whole, fault)
            yield {
                "home": kind,
                "job": job.name,
                "points": len(whole.places),
                "places": len(set(whole.places)),
                "fault": str(fault),
                "struck": result.struck,
                "status": result.status,
                "wrong": result.wrong,
                "wall_s": round(time.monotonic() - started, 1),
            }


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
