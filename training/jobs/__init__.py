"""Run one orchestrated step by name: JSON-able in, JSON-able out, on one partition.

The DAGs and the command line both come through `run`, so that whatever a task does can be repeated by hand. Each job
lives in a module of this package as `job(settings, partition, **options)` and is imported only when it is run.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable
from typing import Any

from training.contracts.artefacts import Artefact
from training.contracts.errors import AttuneError, UsageError
from training.contracts.partitions import Partition
from training.ingest.arrivals import require_arrived
from training.settings import Settings

JOBS: dict[str, str] = {
    "simulate_logs": "logs",
    "import_logs": "logs",
    "partition_arrived": "arrival",
    "land_partition": "logs",
    "transform_partition": "features",
    "pool_taste": "user_encoder",
    "validate_features": "validation",
    "materialise_features": "features",
    "retrain_decision": "retrain",
    "train_candidate": "retrain",
    "gate_candidate": "retrain",
    "train_space": "user_encoder",
    "gate_space": "user_encoder",
    "encode_partition": "user_encoder",
    "study_space": "user_encoder",
    "train_consumer": "consumers",
    "gate_consumer": "consumers",
    "search_negative_samplers": "negative_samplers",
}
"""Which module of this package holds each job, in the order of the daily way of the data."""


BEFORE_ARRIVAL = ("simulate_logs", "import_logs", "partition_arrived")
"""The jobs that bring logs in or ask whether they are there; every other takes days that have arrived alone."""

OF_ALL_DAYS = ("import_logs",)
"""The jobs that take every day where none is named."""


def run(job: str, partition: str | None, *, settings: Settings | None = None, **options: Any) -> dict[str, Any]:
    """Return what a job reports of one partition, as plain JSON values.

    Args:
        job: A name in `JOBS`.
        partition: The UTC day to process, YYYY-MM-DD; a job of `OF_ALL_DAYS` may have none. Orchestrators pass it on
            from the run's partition key.
        settings: Where state lives; read from the environment when not given.
        options: Further keywords of the job; those that are None or empty are left to the job's default.

    Raises:
        UsageError: No such job, no partition, or an option that the job does not take.
        MissingArtefact: The partition is later than the newest day that has arrived.
        AttuneError: What the job itself refuses, with its remedy.
    """
    function = find(job)
    day = None if job in OF_ALL_DAYS and not partition else require_partition(partition, job)
    given = {name: value for name, value in options.items() if value not in (None, "")}
    check_options(job, function, given)
    where = settings or Settings.from_env()
    if day is not None and job not in BEFORE_ARRIVAL:
        require_arrived(where, day)
    result = function(where, day, **given)
    return as_json(result)


def find(job: str) -> Callable[..., Any]:
    """Return the function of a job.

    Raises:
        UsageError: No such job.
    """
    if job not in JOBS:
        raise UsageError(f"expected a job among {', '.join(JOBS)}, found {job!r}")
    module = importlib.import_module(f"{__name__}.{JOBS[job]}")
    function: Callable[..., Any] = getattr(module, job)
    return function


def require_partition(partition: str | None, job: str) -> Partition:
    """Return the partition, or say which key a run without one needs.

    Raises:
        UsageError: There is no key (a run triggered by hand), or it is no day.
    """
    if not partition or partition == "None":
        raise UsageError(
            f"expected a partition key for {job}, found none; trigger the run again with the UTC day to process "
            "as its partition key, written YYYY-MM-DD, e.g. 2026-11-05"
        )
    try:
        return Partition.parse(partition)
    except AttuneError as error:
        raise UsageError(str(error)) from error


def check_options(job: str, function: Callable[..., Any], options: dict[str, Any]) -> None:
    """Raise UsageError, naming what the job takes, when an option is unknown or a needed one is missing."""
    parameters = list(inspect.signature(function).parameters.values())[2:]
    needed = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    missing = [name for name in needed if name not in options]
    if missing:
        given_as = " ".join(f"--{name.replace('_', '-')} VALUE" for name in missing)
        raise UsageError(f"{job} needs {', '.join(missing)}; add {given_as}")
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UsageError(f"{job} takes no option {', '.join(unknown)}; it takes {', '.join(known) or 'none'}")


def as_json(result: Any) -> dict[str, Any]:
    """Return an artefact or mapping as JSON would give it back: lists for tuples, nothing but plain values."""
    values = result.to_dict() if isinstance(result, Artefact) else result
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain
