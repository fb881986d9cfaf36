"""Two of a job at once end as one: the same is served, the same is left, and nobody fails."""

from __future__ import annotations

import os

from tests.faults.jobs import Job
from tests.faults.trial import HomesOfJobs, Undisturbed, in_the_end


def try_two_at_once(homes: HomesOfJobs, job: Job, whole: Undisturbed) -> list[str]:
    """Return what is wrong after two processes have done a job on one home at the same time."""
    homes.put_before(job)
    children = [_start(homes, job) for _ in range(2)]
    wrong = []
    for child, said in children:
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status):
            wrong.append(
                f"one of two ended with {os.waitstatus_to_exitcode(status)}: {os.pread(said, 4096, 0)[-300:]!r}"
            )
        os.close(said)
    return wrong or in_the_end(homes, job, whole)


def _start(homes: HomesOfJobs, job: Job) -> tuple[int, int]:
    said = os.memfd_create("said")
    child = os.fork()
    if child == 0:
        status = 70
        try:
            os.dup2(said, 1)
            os.dup2(said, 2)
            status = job.run(homes.home)
        finally:
            os._exit(status)
    return child, said
