"""Print rows as Markdown: the best of each column in bold, data set, protocol, seeds and versions stated."""

from __future__ import annotations

from collections.abc import Sequence

from training.jobs.bench.rows import Row

LABELS = {"recall": "R", "ndcg": "N", "hr": "HR", "target_recall": "T-R", "target_ndcg": "T-N"}
_COLUMNS = {"temporal": ("recall", "ndcg", "target_recall", "target_ndcg"), "loo": ("hr", "ndcg")}


def columns_of(protocol: str, k: int) -> dict[str, str]:
    """Return heading -> metric name of a protocol's table, e.g. {"N@20": "ndcg@20"}."""
    return {f"{LABELS[name]}@{k}": f"{name}@{k}" for name in _COLUMNS[protocol]}


def quality_table(rows: Sequence[Row], k: int, versions: dict[str, str]) -> str:
    """Return the Markdown of one problem's rows, ours first, then the peers by recommendation NDCG."""
    ordered = sorted(rows, key=lambda row: (row.family != "ours", -row.metrics[f"ndcg@{k}"]))
    columns = columns_of(rows[0].protocol, k)
    lines = [_line(["model", *columns, "± N", "seeds", "fit s", "chosen in s"]), _line(["---"] * (len(columns) + 5))]
    best = {metric: max(row.metrics[metric] for row in rows) for metric in columns.values()}
    lines += [_line(_cells(row, best)) for row in ordered]
    stated = ", ".join(f"{name} {number}" for name, number in versions.items())
    head = f"**{rows[0].data}**, protocol {rows[0].protocol}, {int(rows[0].metrics['n'])} test users; {stated}"
    return "\n".join([head, "", *lines, ""])


def _cells(row: Row, best: dict[str, float]) -> list[str]:
    name = f"**{row.model}**" if row.family == "ours" else row.model
    values = [_number(row.metrics[metric], row.metrics[metric] >= best[metric]) for metric in best]
    error = f"{row.metrics['se_ndcg']:.4f}"
    return [name, *values, error, str(len(row.seeds)), f"{row.fit_seconds:.1f}", f"{row.tune_seconds:.0f}"]


def _number(value: float, bold: bool) -> str:
    return f"**{value:.4f}**" if bold else f"{value:.4f}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
