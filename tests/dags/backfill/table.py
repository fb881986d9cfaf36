"""Put a story into a table that says at a glance whether anything was wrong."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.dags.backfill.judge import KINDS
from tests.dags.backfill.story import Told

_COUNTED = ("answers", "vectors", "rankings", "refused")


def table(told: Told) -> str:
    """Return Markdown: runs by DAG and outcome, what the operator did, what the reader was told, and faults."""
    counts = told.reader.get("counts", {})
    lines = ["| runs of | how they ended |", "| --- | --- |", *_runs(told)]
    lines += ["", "| served | the operator |", "| --- | --- |", *(f"| {day} | {what} |" for day, what in told.steps)]
    lines += ["", "| the reader | |", "| --- | --- |"]
    lines += [f"| {name} | {counts.get(name, 0)} |" for name in (*_COUNTED, *KINDS)]
    lines += [f"| answers of {space} | {number} |" for space, number in told.reader.get("spaces", {}).items()]
    states = Counter(task["state"] for task in told.tasks)
    tasks = ", ".join(f"{number} {state}" for state, number in sorted(states.items(), key=str))
    lines += ["", f"{len(told.tasks)} tasks ({tasks}), {told.seconds / 60:.0f} minutes, {len(faults(told))} faults"]
    return "\n".join([*lines, *(f"- {fault}" for fault in faults(told))]) + "\n"


def faults(told: Told) -> list[str]:
    """Return everything that must not be."""
    failed = [f"{run['dag_id']} of {run['partition_key']} failed" for run in told.runs if run["state"] == "failed"]
    unread = [] if told.reader.get("counts", {}).get("vectors") else ["the reader read nothing"]
    unrefused = [] if told.reader.get("counts", {}).get("refused") else ["nobody was refused after the erasure"]
    spaces = [] if len(told.spaces) == 2 else [f"expected two spaces live one after another, found {told.spaces}"]
    return [*told.faults, *failed, *unread, *unrefused, *spaces, *told.reader.get("faults", [])]


def _runs(told: Told) -> list[str]:
    ended: dict[str, Counter[str]] = {}
    for run in told.runs:
        ended.setdefault(run["dag_id"], Counter())[_ending(told, run)] += 1
    return [
        f"| `{dag}` | {', '.join(f'{number} {how}' for how, number in found.items())} |" for dag, found in ended.items()
    ]


def _ending(told: Told, run: dict[str, Any]) -> str:
    return "failed" if run["state"] == "failed" else told.outcomes.get(run["dag_run_id"], str(run["state"]))
