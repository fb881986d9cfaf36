"""Make one small home for each job, just before it, and copy it where the job is tried."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.jobs import BEFORE, LAST, Job, chain, moves

HOME = "home"
"""The name of the folder in which every run of every job works, so that absolute paths are the same in all."""


def tried_jobs() -> list[Job]:
    return chain(LAST, first=False) + moves()


class Homes:
    """The prepared homes below a folder; those that are there already are taken as they are."""

    def __init__(self, folder: Path, say: Callable[[str], object] = lambda _: None) -> None:
        self.folder, self._say = folder, say
        self.home = folder / HOME

    def prepare(self) -> None:
        """Run the whole chain once and keep a copy of the home before each job, and of the last one."""
        if not (self.folder / "done").exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.home.mkdir(parents=True)
            for job in chain(BEFORE, first=True):
                self._do(job)
            for job in tried_jobs():
                self._done(lambda job=job: job.before(self.home) or 0)  # type: ignore[misc]
                shutil.copytree(self.home, self._before(job))
                self._do(job, prepared=True)
            (self.folder / "done").touch()

    def put_before(self, job: Job) -> None:
        """Put the home into the state just before a job."""
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self._before(job), self.home, symlinks=True)

    def _before(self, job: Job) -> Path:
        return self.folder / "before" / job.name.replace(" ", "_")

    def _do(self, job: Job, *, prepared: bool = False) -> None:
        started = time.monotonic()
        if not prepared:
            self._done(lambda: job.before(self.home) or 0)
        self._done(lambda: job.run(self.home))
        self._say(f"{job.name}: {time.monotonic() - started:.1f} s")

    def _done(self, work: Callable[[], int]) -> None:
        """Do a piece of work in a child, which alone imports and starts what it needs."""
        child = os.fork()
        if child == 0:
            status = 70
            try:
                status = work()
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status):
            raise RuntimeError(f"expected the homes to be made without a fault, found exit status {status}")
