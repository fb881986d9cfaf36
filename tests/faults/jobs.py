"""Every job as an operator runs it: a command line, on a home that is just before it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from training.contracts.partitions import Partition
from training.settings import Settings

BEFORE, LAST = Partition.parse("2026-02-13"), Partition.parse("2026-02-14")
"""The two newest days of the log: a space of the first one is live before the second one begins."""
CONSUMERS = ("matching", "cold_start", "multi_interest")
ENVIRONMENT = {
    "ATTUNE_ITEM_SPACE_EVERY_DAYS": "1",
    "ATTUNE_SERVING_LOG_SHARE": "1",
    "ATTUNE_KEEP_FEATURE_DAYS": "1",
    "OMP_NUM_THREADS": "1",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "PYTHONWARNINGS": "ignore",
}
NOTHING = r"$^"
"""A pattern that no name has."""
ERASED = ("u003", "u007")


def settings_of(home: Path) -> Settings:
    return Settings.from_env({**ENVIRONMENT, "ATTUNE_HOME": str(home)})


def command(arguments: list[str], home: Path) -> int:
    """Run a command line of `attune` on a home, or a job of serving as its DAG does, and return the exit status."""
    os.environ.update(ENVIRONMENT, ATTUNE_HOME=str(home))
    from serving_export import jobs
    from serving_export.__main__ import main
    from training.command_line import Answer, answers, run_commands

    if arguments[0] not in jobs.JOBS:
        return main(arguments)

    @answers
    def job() -> Answer:
        return Answer(values=jobs.run(arguments[0], arguments[1]), text="")

    return run_commands(click.Group(commands=[click.command(name=arguments[0])(job)]), arguments[:1])


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
        name: As the table names it.
        run: Does it on a home and returns the exit status.
        before: What is done to the home that the job before has left.
        reconcile: Brings everything in line with what is served.
        tells_of_tries: What of its remains tells how often it was tried, as a pattern.
    """

    name: str
    run: Callable[[Path], int]
    before: Callable[[Path], None] = lambda _: None
    reconcile: Callable[[Path], int] = lambda home: command(["reconcile"], home)
    tells_of_tries: str = NOTHING


MOVES = r"published/(history|pointer)|ledger\.db promotions"
"""The account of the pointer's moves: a refresh that kept an older space back, and then did not, has moved it twice."""


def _job(
    name: str,
    arguments: Callable[[Path], list[str]],
    before: Callable[[Path], None] = lambda _: None,
    tells_of_tries: str = NOTHING,
) -> Job:
    return Job(name, lambda home: command(arguments(home), home), before, tells_of_tries=tells_of_tries)


def _on(day: Partition, job: str, *more: str) -> Callable[[Path], list[str]]:
    return lambda _: ["jobs", job, "--partition", str(day), *more]


def _gate(day: Partition) -> Callable[[Path], list[str]]:
    def arguments(home: Path) -> list[str]:
        from training.jobs.consumers import candidate_space

        return [
            "jobs",
            "gate_candidate",
            "--partition",
            str(day),
            "--space-id",
            candidate_space(settings_of(home), day),
        ]

    return arguments


def _plain(*words: str) -> Callable[[Path], list[str]]:
    return lambda _: list(words)


def _deliver(day: Partition) -> Callable[[Path], None]:
    """Return what writes the raw days up to `day`."""

    def write(home: Path) -> None:
        from tests.walk.logs import Shape, make
        from training.ingest.history import write_history

        shape = Shape(
            num_users=60, num_items=30, num_events=900, num_days=14, users="picks", items="varied", events="all"
        )
        write_history(settings_of(home), make(shape), "log", until=day)

    return write


def _live_before(home: Path) -> None:
    """Return to the space before by the pointer alone: what follows it is not done yet."""
    from serving_export.pointer_moves import rollback

    rollback(settings_of(home))


def _pin(home: Path) -> list[str]:
    from training.registry.pointer import find_pointer

    pointer = find_pointer(settings_of(home).published_dir)
    assert pointer is not None
    assert pointer.legacy is not None
    return ["pin", "team_a", pointer.legacy.space_id]


def _unpin(home: Path) -> int:
    """A second time there is no pin to be lifted, which is an error that says so."""
    from training.registry.ledger import Ledger

    return command(["unpin", "team_a"], home) if Ledger(settings_of(home)).pins() else 0


def _logged(home: Path) -> None:
    from serving_export.lookup import EmbeddingStore
    from serving_export.packed import unpack_ids
    from serving_export.serving_log import ServingLog

    settings = settings_of(home)
    store = EmbeddingStore(settings.published_dir)
    log = ServingLog(settings)
    log.record(store.lookup(unpack_ids(store.snapshot.user_ids)[:20]))


def _today(home: Path) -> list[str]:
    from datetime import UTC, datetime

    return ["check_parity", str(datetime.now(UTC).date())]


def chain(day: Partition, *, first: bool) -> list[Job]:
    """Return the daily jobs of a day in order, with their names."""
    features = ("transform_partition", "pool_taste", "validate_features", "materialise_features")
    jobs = [_job("land_partition", _on(day, "land_partition"), _deliver(day))]
    jobs += [_job(name, _on(day, name)) for name in features]
    if not first:
        jobs.append(_job("refresh", _plain("refresh", "--partition", str(day)), tells_of_tries=MOVES))
    jobs += [_job("train_candidate", _on(day, "train_candidate")), _job("gate_candidate", _gate(day))]
    for consumer in CONSUMERS:
        jobs.append(_job(f"train_consumer {consumer}", _on(day, "train_consumer", "--consumer", consumer)))
        jobs.append(_job(f"gate_consumer {consumer}", _on(day, "gate_consumer", "--consumer", consumer)))
    return [*jobs, _job("promote", _plain("promote", "--partition", str(day)))]


def moves() -> list[Job]:
    """Return the jobs that follow a promotion; each runs on the home that the ones before it have left."""
    return [
        _job("pin", _pin),
        Job("unpin", _unpin),
        _job("check_parity", _today, _logged),
        _job("rollback", _plain("rollback")),
        _job(
            "promote --force", _plain("promote", "--partition", str(LAST), "--force", "it was the log, not the space")
        ),
        _job("reconcile", _plain("reconcile"), _live_before),
        _job("erase", _plain("erase", *(word for user in ERASED for word in ("--user", user)), "--reason", "asked")),
        _job("erase --now", _plain("erase", "--now")),
        _job("retention", _plain("retention")),
    ]
