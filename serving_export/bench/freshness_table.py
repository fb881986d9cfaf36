"""Lay out what vectors of several ages rank, each against the day's on the same moments."""

from __future__ import annotations

import pandas as pd

from serving_export.bench.freshness_moments import METRICS
from training.evaluation.gate import bootstrap_interval

VECTORS = ("same for everyone", "a week old", "daily", "after each event")


def table(name: str, found: pd.DataFrame, seed: int) -> str:
    """Return the Markdown of judged moments, averaged within each user, then over users.

    Args:
        name: The log's.
        found: One row per moment and metric: day, user_id, metric, and the value by each of `VECTORS`; NaN where there
            is no such vector.
        seed: Seed of the bootstrap over users.
    """
    days = sorted(found["day"].unique())
    what = f"{len(found) // len(METRICS):,} moments of {found['user_id'].nunique():,} users, {days[0]} to {days[-1]}"
    head = "| metric | vector | users | mean | daily vector's, same moments | difference | 95 % interval |"
    lines = [f"**{name}**, {what}", "", head, "| --- " * 7 + "|"]
    for metric in METRICS:
        own = found[found["metric"] == metric]
        lines += [f"| {metric} {_line(vector, own, seed)}" for vector in VECTORS]
    return "\n".join(lines) + "\n"


def _line(vector: str, found: pd.DataFrame, seed: int) -> str:
    users = found.dropna(subset=[vector]).groupby("user_id")[list({vector, "daily"})].mean()
    own, daily = users[vector].mean(), users["daily"].mean()
    cells = [vector, f"{len(users):,}", f"{own:.4f}", f"{daily:.4f}"]
    if vector == "daily":
        return "| " + " | ".join([*cells, "", ""]) + " |"
    low, high = bootstrap_interval((users[vector] - users["daily"]).to_numpy(), seed)
    change = f"{own / daily - 1:+.1%}", f"{low / daily:+.1%} to {high / daily:+.1%}"
    return "| " + " | ".join([*cells, *change]) + " |"
