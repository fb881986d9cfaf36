"""Say at the end of a run what was built: runs, spaces, models, gates, what is served, and one lookup."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from training.contracts.artefacts import GateDecision
from training.settings import REPO_ROOT, Settings

from local.logs import import_reports

VERDICTS = {
    **{"accepted": "passed", "refused": "REFUSED", "not applicable": "not applicable"},
    **{"passed": "passed", "failed": "REFUSED", "not measured": "not measured"},
}
"""The word for each decision of a gate, and for each outcome of a check."""


def summary(settings: Settings, runs: list[dict[str, Any]], outcomes: dict[str, str]) -> str:
    """Return the tables of what a run built.

    Args:
        settings: Whose home.
        runs: The runs of this session.
        outcomes: For each run id, its outcome in a word.
    """
    from training.registry.ledger import Ledger

    ledger = Ledger(settings)
    spaces = [
        [ref.space_id, ref.partition, ref.item_space_id, ledger.space_state(ref.space_id)] for ref in ledger.spaces()
    ]
    models = [
        [ref.consumer, ref.version, ref.space_id, ledger.model_state(ref.consumer, ref.version)]
        for ref in ledger.models()
    ]
    parts = [
        titled("Logs", import_reports(settings)),
        titled("Runs", runs_table(runs, outcomes)),
        titled("Spaces", table(["space", "partition", "item space", "state"], spaces)),
        titled("Consumer models", table(["consumer", "version", "space", "state"], models)),
        titled("Gates", gates_table(ledger.gates())),
        titled("Served", served(settings)),
    ]
    return "\n\n".join(parts)


def runs_table(runs: list[dict[str, Any]], outcomes: dict[str, str]) -> str:
    """Return one row per partition and one column per DAG, each cell the outcome of its last run."""
    dags = list(dict.fromkeys(run["dag_id"] for run in runs))
    cells = {(run["partition_key"], run["dag_id"]): outcomes.get(run["dag_run_id"], run["state"]) for run in runs}
    partitions = sorted({run["partition_key"] or "" for run in runs})
    rows = [[partition, *(cells.get((partition, dag), "-") for dag in dags)] for partition in partitions]
    return table(["partition", *dags], rows)


def gates_table(gates: Iterable[GateDecision]) -> str:
    """Return one row per check of each gate decision, or one of what the log lacks where there was nothing to judge."""
    rows = [[gate.partition, gate.subject, *cells] for gate in gates for cells in _decided(gate)]
    return table(["partition", "subject", "decision", "check", "", "observed", "allowed"], rows)


def _decided(gate: GateDecision) -> list[list[str]]:
    decision = VERDICTS[gate.verdict]
    if gate.not_applicable:
        return [[decision, "-", "-", gate.not_applicable, "-"]]
    return [[decision, check.name, VERDICTS[check.outcome], check.observed, check.allowed] for check in gate.checks]


def served(settings: Settings) -> str:
    """Return what `status` says is served, and the lookup of one served user."""
    status = _serving(settings, "status", "--json")
    if status is None:
        return "nothing yet: no space has passed its gates"
    user = first_user(settings)
    answer = _serving(settings, "lookup", "--user", user, "--json") if user else None
    lines = [f"$ python -m serving_export lookup --user {user} --json", shortened(answer)] if answer else []
    return "\n".join([describe(json.loads(status)), *lines])


def describe(status: dict[str, Any]) -> str:
    """Return the live and legacy snapshots as lines."""
    rows = []
    for role in ("live", "legacy"):
        entry = status.get(role)
        if entry:
            consumers = ", ".join(f"{name} {model['version']}" for name, model in entry.get("consumers", {}).items())
            rows.append([role, entry["space_id"], entry["partition"], consumers])
    return table(["", "space", "partition", "consumers"], rows)


def first_user(settings: Settings) -> str | None:
    """Return some user of the newest feature snapshot, None if there is none."""
    import pyarrow.parquet as pq

    files = sorted((settings.home / "features" / "user_profile").glob("dt=*/*.parquet"))
    users = pq.read_table(files[-1], columns=["user_id"])["user_id"] if files else []
    return str(users[0].as_py()) if len(users) else None


def shortened(answer: str) -> str:
    """Return a lookup's JSON with its vectors cut to four numbers, to fit a screen."""

    def cut(value: Any) -> Any:
        if isinstance(value, list) and len(value) > 4 and all(isinstance(number, float) for number in value):
            return [*(round(number, 4) for number in value[:4]), f"... {len(value)} in all"]
        if isinstance(value, list):
            return [cut(entry) for entry in value]
        return {name: cut(entry) for name, entry in value.items()} if isinstance(value, dict) else value

    return json.dumps(cut(json.loads(answer)), indent=1)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table in plain text, or "none"."""
    lines = [[str(cell) for cell in row] for row in rows]
    if not lines:
        return "none"
    widths = [max(len(row[column]) for row in [list(head), *lines]) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *lines]
    )


def titled(title: str, body: str) -> str:
    """Return a section of the report."""
    return f"{title}\n{'-' * len(title)}\n{body}"


def _serving(settings: Settings, *arguments: str) -> str | None:
    import os

    command = [sys.executable, "-m", "serving_export", *arguments]
    environment = {**os.environ, "ATTUNE_HOME": str(settings.home)}
    done = subprocess.run(command, cwd=REPO_ROOT, env=environment, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None
