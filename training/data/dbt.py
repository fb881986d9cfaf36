"""Run dbt in this process: one build per partition, each model logged by name, failures as one line."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from training.contracts.errors import AttuneError
from training.settings import REPO_ROOT, Settings

logger = logging.getLogger(__name__)
PROJECT_DIR = REPO_ROOT / "dbt_project"
_FAILED = ("fail", "error", "runtime error", "partial success")


def run_dbt(settings: Settings, command: str, variables: Mapping[str, object], *arguments: str) -> dict[str, int]:
    """Run one dbt command against the home's warehouse; nothing is written into the project's own folder.

    Args:
        settings: Names the home; dbt's target, logs and warehouse lie below it.
        command: A dbt command that runs nodes: "build", "run", "test", "seed".
        variables: Values for the project's vars.
        *arguments: Further dbt arguments, e.g. `--select`.

    Returns:
        How many nodes ended in each status, e.g. {"success": 9, "pass": 41}.

    Raises:
        AttuneError: A model did not build or a test failed; the message names it, the rows and the compiled SQL.
    """
    from dbt.cli.main import dbtRunner

    folder = settings.warehouse_path.parent / "dbt"
    folder.mkdir(parents=True, exist_ok=True)
    with _environment(settings), _released_warehouse():
        outcome = dbtRunner(callbacks=[_logged_nodes()]).invoke(
            [
                *("--log-level", "none", "--log-path", str(folder / "logs"), "--no-send-anonymous-usage-stats"),
                *(command, "--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)),
                *("--target-path", str(folder / "target"), "--vars", json.dumps(dict(variables), sort_keys=True)),
                *arguments,
            ]
        )
    results = list(getattr(outcome.result, "results", None) or [])
    failed = [result for result in results if str(result.status) in _FAILED]
    if failed:
        raise AttuneError(_failure(failed))
    if not outcome.success:
        found = _one_line(outcome.exception)
        raise AttuneError(f"expected dbt {command} to run, found: {found}; see {folder / 'logs' / 'dbt.log'}")
    return _tally(str(result.status) for result in results)


@contextmanager
def _environment(settings: Settings) -> Iterator[None]:
    """Set what profiles.yml reads, and forbid telemetry, for the time of one run."""
    wanted = {"ATTUNE_WAREHOUSE": str(settings.warehouse_path), "DO_NOT_TRACK": "1"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


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


def _failure(failed: list[Any]) -> str:
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
    return f"expected dbt model {node.name} to build, found: {_one_line(first.message)}{more} {where}"


def _one_line(message: object) -> str:
    return " ".join(str(message).split())


def _tally(statuses: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for status in statuses:
        counts[status] = counts.get(status, 0) + 1
    return dict(sorted(counts.items()))
