"""Run a serving job by name, as the DAGs do: JSON-able in, JSON-able out, on one partition."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from training.contracts.errors import UsageError
from training.contracts.partitions import Partition
from training.ingest.arrivals import require_arrived
from training.jobs import as_json, check_options, require_partition
from training.registry.pointer import find_pointer
from training.settings import Settings

if TYPE_CHECKING:
    from serving_export.retention_plan import Plan

JOBS = (
    *("refresh_embeddings", "promote_space", "erase_users", "check_stream", "check_parity"),
    *("plan_retention", "apply_retention"),
)
_OF_ANY_DAY = JOBS[2:]
"""Jobs that read no logs of their partition: it need not have arrived."""


def run(job: str, partition: str, *, settings: Settings | None = None, **options: Any) -> dict[str, Any]:
    """Return what a job reports of one partition, as plain JSON values.

    Args:
        job: A name in `JOBS`.
        partition: The UTC day to process, YYYY-MM-DD.
        settings: Where state lives; read from the environment when not given.
        options: Further keywords of the job.

    Raises:
        UsageError: No such job, no partition, or an option that the job does not take.
        MissingArtefact: The partition is later than the newest day that has arrived.
        AttuneError: What the job itself refuses, with its remedy.
    """
    functions: dict[str, Callable[..., dict[str, Any]]] = {
        "refresh_embeddings": refresh_embeddings,
        "promote_space": promote_space,
        "check_stream": check_stream,
        "erase_users": erase_users,
        "check_parity": check_parity,
        "plan_retention": plan_retention,
        "apply_retention": apply_retention,
    }
    if job not in functions:
        raise UsageError(f"expected a job among {', '.join(JOBS)}, found {job!r}")
    day = require_partition(partition, job)
    check_options(job, functions[job], options)
    where = settings or Settings.from_env()
    if job not in _OF_ANY_DAY:
        require_arrived(where, day)
    return as_json(functions[job](where, day, **options))


def refresh_embeddings(settings: Settings, partition: Partition, accept_loss: str = "") -> dict[str, Any]:
    """Publish a partition's vectors of the live, legacy and pinned spaces; see `serving_export.refresh`."""
    from serving_export import refresh

    return refresh.refresh_embeddings(settings, partition, accept_loss=accept_loss)


def promote_space(settings: Settings, partition: Partition, force: str = "") -> dict[str, Any]:
    """Make a partition's candidate space live when its consumers are ready; see `serving_export.promote`."""
    from serving_export import promote

    return promote.promote_space(settings, partition, force=force)


def check_stream(settings: Settings, partition: Partition) -> dict[str, Any]:
    """Report how the stream's workers are, and fail where they are not well; see `serving_export.stream.health`."""
    from serving_export.stream.health import require_health

    return require_health(settings)


def check_parity(settings: Settings, partition: Partition) -> dict[str, Any]:
    """Hold what was served on a day against the raw logs and between stores; see `serving_export.parity`."""
    from serving_export import parity

    return parity.check_parity(settings, partition)


def erase_users(settings: Settings, partition: Partition) -> dict[str, Any]:
    """Take users whose erasure was asked for out of everything; see `serving_export.erasure`. Every partition alike."""
    from serving_export.erasure import erase

    return erase.carry_out(settings)


def plan_retention(settings: Settings, partition: Partition) -> dict[str, Any]:
    """Report what the policy lets go, removing nothing; see `serving_export.retention_plan`. Every partition alike."""
    from serving_export.retention_plan import plan

    return _let_go(settings, plan)


def apply_retention(settings: Settings, partition: Partition) -> dict[str, Any]:
    """Remove what the policy lets go; see `serving_export.retention_run`. Every partition alike."""
    from serving_export import retention_run

    return _let_go(settings, retention_run.apply_retention)


def _let_go(settings: Settings, choose: Callable[[Settings], Plan]) -> dict[str, Any]:
    if find_pointer(settings.published_dir) is None:
        return {"counts": {}, "total": 0, "reason": "nothing goes before a space is live"}
    counts = choose(settings).counts
    return {"counts": counts, "total": sum(counts.values()), "reason": "" if counts else "nothing is old enough"}
