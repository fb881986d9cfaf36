"""Print the comparison of samplers, mixtures and searches as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from training.bench.samplers.runs import LOSS_MIX, SEARCHES, UNIFORM_MIX
from training.evaluation.gate import bootstrap_interval
from training.samplers.candidates import CANDIDATES, UNIFORM

Outcome = dict[str, Any]
Pick = Callable[[dict[str, Outcome]], Outcome]
_HEADINGS = ("negatives", "N@20", "± seeds", "R@20", "CPU s", "of best", "95 % interval", "of its cost", "chosen")


@dataclass(frozen=True)
class Case:
    """A model's outcomes: of each seed, every run by name."""

    model: str
    seeds: Sequence[dict[str, Outcome]]


def sampler_table(data: str, description: str, cases: Sequence[Case], seed: int) -> str:
    """Return the tables of one data set, a model below the other.

    "Of best" is the test NDCG over that of the exhaustive best: every sampler tried alone, the one with the best
    validation taken, at the cost of all. Its interval is a bootstrap over users of the same means over seeds.
    """
    parts = [f"**{data}**: {description}."]
    for case in cases:
        lines = [_line(_HEADINGS), _line(["---"] * len(_HEADINGS)), *map(_line, _rows(case, seed))]
        parts.append("\n".join([f"{case.model}, {len(case.seeds)} seed{'s' * (len(case.seeds) > 1)}:", "", *lines]))
    return "\n\n".join(parts) + "\n"


def search_table(cases: Mapping[str, Sequence[Case]]) -> str:
    """Return one table of all data sets and models: what trying every sampler gives, and each way's share of it.

    Args:
        cases: Cases by data set.
    """
    ways: dict[str, Pick] = {name: itemgetter(name) for name in (UNIFORM, UNIFORM_MIX)}
    ways |= {f"{name}, {start} start": pick for (name, start), pick in _PICKS.items()}
    head = ["log", "model", "seeds", "exhaustive best, N@20", *ways]
    lines = [_line(head), _line(["---"] * len(head))]
    for data, of_data in cases.items():
        lines += [_line([data, *_shares(case, list(ways.values()))]) for case in of_data]
    return "\n".join([*lines, "", "Each way's N@20 and total CPU time as shares of the exhaustive best's.", ""])


def _shares(case: Case, picks: Sequence[Pick]) -> list[str]:
    best = [exhaustive(runs) for runs in case.seeds]
    ndcg, seconds = _by_user(best, "ndcg").mean(), _seconds(best)
    cells = [case.model, str(len(case.seeds)), f"{ndcg:.4f}, {_chosen(best)}"]
    for pick in picks:
        found = [pick(runs) for runs in case.seeds]
        cells.append(f"{_by_user(found, 'ndcg').mean() / ndcg:.1%} at {_seconds(found) / seconds:.0%}")
    return cells


def _seconds(runs: Sequence[Outcome]) -> float:
    return float(np.mean([run["cpu_seconds"] for run in runs]))


def exhaustive(runs: dict[str, Outcome]) -> Outcome:
    """Return the single sampler with the best validation, at the cost of all of them."""
    singles = {name: runs[name] for name in CANDIDATES}
    best = max(singles, key=lambda name: singles[name]["value"])
    total = sum(run["cpu_seconds"] for run in singles.values())
    return singles[best] | {"cpu_seconds": total, "weights": {best: 1.0}}


def _rows(case: Case, seed: int) -> list[list[str]]:
    best = [exhaustive(runs) for runs in case.seeds]
    picks: dict[str, Pick] = {name: itemgetter(name) for name in (*CANDIDATES, UNIFORM_MIX, LOSS_MIX)}
    picks["**exhaustive best**"] = exhaustive
    for name in SEARCHES:
        picks[f"**{name} search**, inherited start"] = _PICKS[name, "inherited"]
        picks[f"{name} search, fresh start"] = _PICKS[name, "fresh"]
    return [_row(name, [pick(runs) for runs in case.seeds], best, seed) for name, pick in picks.items()]


def _anew(name: str, runs: dict[str, Outcome]) -> Outcome:
    anew: Outcome = runs[name]["anew"]
    return anew


_PICKS: dict[tuple[str, str], Pick] = {
    (name, start): pick
    for name in SEARCHES
    for start, pick in (("inherited", itemgetter(name)), ("fresh", partial(_anew, name)))
}


def _row(name: str, found: Sequence[Outcome], best: Sequence[Outcome], seed: int) -> list[str]:
    ndcg, reference = _by_user(found, "ndcg"), _by_user(best, "ndcg")
    by_seed = [float(np.mean(run["ndcg"])) for run in found]
    spread = f"{np.std(by_seed, ddof=1):.4f}" if len(by_seed) > 1 else "–"
    low, high = bootstrap_interval(ndcg - reference, seed)
    seconds, total = _seconds(found), _seconds(best)
    return [
        name,
        f"{ndcg.mean():.4f}",
        spread,
        f"{_by_user(found, 'recall').mean():.4f}",
        f"{seconds:.1f}",
        f"{ndcg.mean() / reference.mean():.1%}",
        f"{1 + low / reference.mean():.1%} to {1 + high / reference.mean():.1%}",
        f"{seconds / total:.0%}",
        "" if name in CANDIDATES or "mix" in name else _chosen(found),
    ]


def _chosen(found: Sequence[Outcome]) -> str:
    """Return the sampler of the greatest weight of each run, named once."""
    return ", ".join(dict.fromkeys(max(run["weights"], key=run["weights"].get) for run in found))


def _by_user(runs: Sequence[Outcome], metric: str) -> np.ndarray:
    return np.asarray(np.mean([run[metric] for run in runs], axis=0))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
