"""Print rows as Markdown: the best of each column in bold, data set, protocol, seeds and versions stated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.bench.shared.rows import Row

LABELS = {"recall": "R", "ndcg": "N", "hr": "HR", "target_recall": "T-R", "target_ndcg": "T-N"}
_COLUMNS = {"temporal": ("recall", "ndcg", "target_recall", "target_ndcg"), "loo": ("hr", "ndcg")}

REPRESENTATIONS = {"z": "**z_u**", "pca": "PCA of the inputs, as wide", "mean_of_items": "mean of item vectors"}


def columns_of(protocol: str, k: int) -> dict[str, str]:
    """Return heading -> metric name of a protocol's table, e.g. {"N@20": "ndcg@20"}."""
    return {f"{LABELS[name]}@{k}": f"{name}@{k}" for name in _COLUMNS[protocol]}


def quality_table(rows: Sequence[Row], k: int, versions: dict[str, str]) -> str:
    """Return the Markdown of one problem's rows: the attainable if known, ours, then the peers by recommendation NDCG.

    A row of family "limit" adds a column with each model's share of the limit's NDCG. The seconds of ours hold the
    choices made on validation; those of the peers are stated beside.
    """
    rank = {"limit": 0, "ours": 1, "peer": 2}
    ordered = sorted(rows, key=lambda row: (rank[row.family], -row.metrics[f"ndcg@{k}"]))
    limit = next((row.metrics[f"ndcg@{k}"] for row in rows if row.family == "limit"), None)
    columns = columns_of(rows[0].protocol, k)
    headings = ["model", *columns, "± N", *(["of attainable"] if limit else []), "seeds", "fit s", "chosen in s"]
    models = [row for row in rows if row.family != "limit"]
    best = {metric: max(row.metrics[metric] for row in models) for metric in columns.values()}
    lines = [_line(headings), _line(["---"] * len(headings)), *(_line(_cells(row, best, limit, k)) for row in ordered)]
    return "\n".join([_heading(rows[0], versions), "", *lines, ""])


def representation_table(data: str, probe: dict[str, Any]) -> str:
    """Return the Markdown of the seven-day task: what a light model reaches on each representation of a user.

    Args:
        data: Data set.
        probe: `seven_day` of a space's evaluation; gains are over its baseline, intervals bootstrapped over users.
    """
    baseline = REPRESENTATIONS[probe["baseline"]]
    headings = ["features of the light model", "AUC", f"over {baseline}", "95 % over users"]
    lines = [_line(headings), _line(["---"] * len(headings))]
    for name, found in sorted(probe["representations"].items(), key=lambda pair: -pair[1]["auc"]):
        low, high = found["auc_gain_interval"]
        gain = ["–", "–"] if name == probe["baseline"] else [f"{found['auc_gain']:+.4f}", f"{low:+.4f} to {high:+.4f}"]
        lines.append(_line([REPRESENTATIONS.get(name, name), f"{found['auc']:.4f}", *gain]))
    heading = f"**{data}**, will a user interact with an item within seven days; {probe['evidence']}"
    return "\n".join([heading, "", *lines, ""])


def _heading(row: Row, versions: dict[str, str]) -> str:
    stated = ", ".join(f"{name} {number}" for name, number in versions.items())
    return f"**{row.data}**, protocol {row.protocol}, {int(row.metrics['n'])} test users; {stated}"


def _cells(row: Row, best: dict[str, float], limit: float | None, k: int) -> list[str]:
    name = f"**{row.model}**" if row.family == "ours" else row.model
    values = [_number(row.metrics.get(metric), best[metric]) for metric in best]
    share = [f"{row.metrics[f'ndcg@{k}'] / limit:.1%}"] if limit else []
    error = f"{row.metrics['se_ndcg']:.4f}"
    chosen = "in fit" if row.family == "ours" else f"{row.tune_seconds:.0f}"
    return [name, *values, error, *share, str(len(row.seeds)), f"{row.fit_seconds:.1f}", chosen]


def _number(value: float | None, best: float) -> str:
    if value is None:
        return "–"
    return f"**{value:.4f}**" if value == best else f"{value:.4f}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
