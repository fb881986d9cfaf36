"""Draw up the table of faults, and keep it in the README."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Return a row for each job: its calls, distinct places, faults tried, survived, and seconds of each."""
    lines = ["| home | job | calls | places | faulted | survived | s per fault |", "| --- " * 7 + "|"]
    wrong = []
    ordered = [row for row in rows if row["struck"]]
    for (home, job), group in groupby(ordered, key=lambda row: (row["home"], row["job"])):
        found = list(group)
        survived = sum(not row["wrong"] for row in found)
        mean_s = sum(row["wall_s"] for row in found) / len(found)
        last = found[-1]
        lines.append(
            f"| {home} | {job} | {last['points']} | {last['places']} | {len(found)} | {survived} | {mean_s:.1f} |"
        )
        wrong += [f"- {job}, {row['fault']}: {'; '.join(row['wrong'])}" for row in found if row["wrong"]]
    lines.append(f"| | all | | | {len(ordered)} | {sum(not row['wrong'] for row in ordered)} | |")
    return "\n".join([*lines, "", *(["Not survived:", "", *wrong] if wrong else ["Every fault was survived."]), ""])


def write_table(text: str, readme: Path = README) -> None:
    """Put the table between its marks."""
    before, _, rest = readme.read_text().partition(BEGIN)
    readme.write_text(before + BEGIN + text + END + rest.partition(END)[2])
