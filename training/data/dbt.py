"""Run dbt in this process: one build per partition, each model logged by name, failures as one line."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from training.contracts.errors import AttuneError, TransientFailure
from training.data.environment import environment
from training.settings import REPO_ROOT, Settings

logger = logging.getLogger(__name__)
PROJECT_DIR = REPO_ROOT / "dbt_project"
_PASSING = ("Could not set lock on file", "No space left on device")
_FAILED = ("fail", "error", "runtime error", "partial success")


def run_dbt(
    settings: Settings, command: str, locations: Mapping[str, str], variables: Mapping[str, str], *arguments: str
) -> dict[str, int]:
    """Run one dbt command against the home's warehouse; nothing is written into the project's own folder.

    Args:
        settings: Names the home; dbt's target, logs and warehouse lie below it.
        command: A dbt command that runs nodes: "build", "run", "test", "seed".
        locations: Values for the vars that the parsed project depends on; while they stay, it is parsed once.
        variables: Values for the vars that change from run to run: `partition`, and `batch_size` of the microbatches.
        *arguments: Further dbt arguments, e.g. `--select`.

    Returns:
        How many nodes ended in each status, e.g. {"success": 9, "pass": 41}.

    Raises:
        AttuneError: A model did not build or a test failed; the message names it, the rows and the compiled SQL.
    """
    from dbt.cli.main import dbtRunner

    with _environment(settings), _released_warehouse():
        manifest = _parsed(settings, locations)
        _set_batch_size(manifest, variables.get("batch_size"))
        causes: dict[str, str] = {}
        runner = dbtRunner(manifest=manifest, callbacks=[_logged_nodes(), _noted_causes(causes)])
        outcome = runner.invoke([*_arguments(settings, command, {**locations, **variables}), *arguments])
    results = list(getattr(outcome.result, "results", None) or [])
    failed = [result for result in results if str(result.status) in _FAILED]
    if failed:
        raise _error(_failure(failed, causes))
    if not outcome.success:
        raise _error(_refusal(settings, command, outcome.exception))
    return _tally(str(result.status) for result in results)


def _arguments(settings: Settings, command: str, variables: Mapping[str, str]) -> list[str]:
    folder = settings.warehouse_path.parent / "dbt"
    return [
        *("--log-level", "none", "--log-path", str(folder / "logs"), "--no-send-anonymous-usage-stats"),
        *(command, "--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)),
        *("--target-path", str(folder / "target"), "--vars", json.dumps(dict(variables), sort_keys=True)),
    ]


def _parsed(settings: Settings, locations: Mapping[str, str]) -> Any:
    """Return the parsed project; vars other than the locations are left out, since a change would parse it anew."""
    from dbt.cli.main import dbtRunner

    (settings.warehouse_path.parent / "dbt").mkdir(parents=True, exist_ok=True)
    # the command that follows writes the manifest; twice would cost as much as the queries of a small day
    outcome = dbtRunner().invoke([*_arguments(settings, "parse", locations), "--no-write-json"])
    if not outcome.success:
        raise AttuneError(_refusal(settings, "parse", outcome.exception))
    return outcome.result


def _set_batch_size(manifest: Any, batch_size: str | None) -> None:
    """Give every microbatch model the run's batch size; config is otherwise fixed when the project is parsed."""
    from dbt.artifacts.resources.types import BatchSize

    for node in manifest.nodes.values():
        if batch_size and getattr(node.config, "batch_size", None):
            node.config.batch_size = BatchSize(batch_size)


@contextmanager
def _environment(settings: Settings) -> Iterator[None]:
    """Set what profiles.yml reads, and forbid telemetry, for the time of one run."""
    wanted = {"ATTUNE_WAREHOUSE": str(settings.warehouse_path), "DO_NOT_TRACK": "1"}
    with environment(wanted):
        yield


@contextmanager
def _released_warehouse() -> Iterator[None]:
    """Close dbt's connection afterwards; it would lock the file against every other process."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    try:
        yield
    finally:
        environment = DuckDBConnectionManager._ENV
        if environment is not None:
            environment.close()
        DuckDBConnectionManager.close_all_connections()


def _logged_nodes() -> Callable[[Any], None]:
    def log(event: Any) -> None:
        if event.info.name == "NodeFinished":
            node = event.data.node_info
            level = logging.INFO if node.resource_type == "model" else logging.DEBUG
            logger.log(level, "dbt %s %s: %s", node.resource_type, node.node_name, event.data.run_result.status)

    return log


def _noted_causes(causes: dict[str, str]) -> Callable[[Any], None]:
    """Keep what broke a model's first batch: the result of a model that is built in batches says "ERROR" alone."""

    def note(event: Any) -> None:
        if event.info.name == "GenericExceptionOnRun":
            causes.setdefault(event.data.unique_id, event.data.exc)

    return note


def _error(message: str) -> AttuneError:
    """A warehouse that another process holds, or a disk, may be free on the next try; a model that is wrong is not."""
    return TransientFailure(message) if any(words in message for words in _PASSING) else AttuneError(message)


def _failure(failed: list[Any], causes: Mapping[str, str]) -> str:
    first = failed[0]
    node = first.node
    more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
    where = f"at {node.compiled_path}" if getattr(node, "compiled_path", None) else f"in {node.original_file_path}"
    if str(first.status) == "fail":
        model = ", ".join(sorted(parent.rsplit(".", 1)[-1] for parent in node.depends_on.nodes))
        return (
            f"expected no row to fail dbt test {node.name} on {model}, found {first.failures}{more} {where}; "
            "run the compiled SQL for the rows and mend the raw partition or the model"
        )
    found = causes.get(node.unique_id, first.message)
    return f"expected dbt model {node.name} to build, found: {_one_line(found)}{more} {where}"


def _refusal(settings: Settings, command: str, error: object) -> str:
    log = settings.warehouse_path.parent / "dbt" / "logs" / "dbt.log"
    return f"expected dbt {command} to run, found: {_one_line(error)}; see {log}"


def _one_line(message: object) -> str:
    return " ".join(str(message).split())


def _tally(statuses: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for status in statuses:
        counts[status] = counts.get(status, 0) + 1
    return dict(sorted(counts.items()))
