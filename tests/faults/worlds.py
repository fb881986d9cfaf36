"""The moves of what is served, on a home whose vectors are drawn, not trained: cheap enough for every run of tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from serving_export.pin import pin, unpin
from serving_export.pointer_moves import rollback
from serving_export.promote import promote_space
from serving_export.reconcile import reconcile
from serving_export.refresh import refresh_embeddings
from tests.faults.jobs import MOVES, NOTHING, Job
from tests.serving_export.world import DAY1, DAY2, DAY3, World
from training.command_line import Answer, answers, run_commands
from training.settings import Settings


def world_of(home: Path) -> World:
    return World(Settings.from_env({"ATTUNE_HOME": str(home)}))


def _job(
    name: str,
    work: Callable[[World], Any],
    before: Callable[[World], Any] = lambda _: None,
    tells_of_tries: str = NOTHING,
) -> Job:
    return Job(
        name,
        lambda home: as_command(lambda: work(world_of(home))),
        lambda home: before(world_of(home)),
        lambda home: as_command(lambda: _reconcile(world_of(home))),
        tells_of_tries,
    )


def _reconcile(world: World) -> None:
    pending = reconcile(world.settings, world.sources).pending
    assert not pending, pending


def as_command(work: Callable[[], Any]) -> int:
    """Do it as a command line would, which tells errors in one line."""

    @answers
    def command() -> Answer:
        work()
        return Answer(values={}, text="")

    return run_commands(click.Group(commands=[click.command(name="work")(command)]), ["work"])


def _pin(world: World) -> None:
    pin(world.settings, "matching", world.ledger.spaces()[0].space_id, world.sources)


def _unpin(world: World) -> None:
    """A second time there is no pin to be lifted, which is an error that says so."""
    if world.ledger.pins():
        unpin(world.settings, "matching", world.sources)


def _before_the_first(world: World) -> None:
    shutil.rmtree(world.settings.home)
    world.train(DAY1)


JOBS = (
    _job("first promote", lambda w: promote_space(w.settings, DAY1, w.sources), _before_the_first),
    _job("promote", lambda w: promote_space(w.settings, DAY3, w.sources), lambda w: w.train(DAY3)),
    _job("refresh", lambda w: refresh_embeddings(w.settings, DAY3, w.sources), tells_of_tries=MOVES),
    _job("rollback", lambda w: (rollback(w.settings), _reconcile(w))),
    _job("reconcile", _reconcile, lambda w: rollback(w.settings)),
    _job("pin", _pin),
    _job("unpin", _unpin, _pin),
)


class WorldHomes:
    """Homes with two promoted spaces, just before each job."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.folder, self.home = folder, folder / "home"
        self.home.mkdir(parents=True)
        world_of(self.home).promote(DAY1, DAY2)
        self.home.rename(folder / "start")
        for job in JOBS:
            shutil.copytree(folder / "start", self.home)
            job.before(self.home)
            self.home.rename(folder / job.name)

    def put_before(self, job: Job) -> None:
        """Put the home into the state just before a job."""
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self.folder / job.name, self.home)
