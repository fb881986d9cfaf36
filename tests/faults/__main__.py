"""Let every job meet every fault: `python -m tests.faults [--jobs promote,refresh] [--all] [--write]`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # threads that are there before a child is made are lost in it
from tests.faults.jobs import ENVIRONMENT

os.environ.update(ENVIRONMENT)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--jobs", default="", help="comma-separated names (default: all)")
    parser.add_argument("--folder", default="", help="where the homes lie (default: a temporary folder)")
    parser.add_argument("--points", action="store_true", help="only list the places of each job")
    options = parser.parse_args()
    from tests.faults.choice import faults_of
    from tests.faults.homes import Homes, tried_jobs
    from tests.faults.trial import try_fault, undisturbed
    from tests.faults.warm import warm

    warm()
    homes = Homes(Path(options.folder), lambda line: print(line, flush=True))
    homes.prepare()
    wanted = set(filter(None, options.jobs.split(",")))
    for job in tried_jobs():
        if wanted and job.name not in wanted:
            continue
        started = time.monotonic()
        whole = undisturbed(homes, job)
        print(job.name, len(whole.places), len(set(whole.places)), f"{time.monotonic() - started:.1f} s", flush=True)
        if options.points:
            continue
        for fault in faults_of(whole.places):
            at = time.monotonic()
            result = try_fault(homes, job, whole, fault)
            print(
                f"  {fault}: {result.status} {result.struck} {time.monotonic() - at:.1f} s",
                *result.wrong,
                sep="\n      ",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
