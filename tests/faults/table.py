"""Draw up the table of faults, and keep it in the README."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"
TWO_AT_ONCE = "two at once"


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Return a line for each job: its calls, distinct places, faults tried, survived, two at once, seconds of each."""
    struck = [row for row in rows if row["struck"]]
    jobs = dict.fromkeys((row["home"], row["job"]) for row in struck)
    lines = ["| home | job | calls | places | faulted | survived | two at once | s each |", "| --- " * 8 + "|"]
    lines += [_line([row for row in struck if (row["home"], row["job"]) == job]) for job in jobs]
    faults = [row for row in struck if row["fault"] != TWO_AT_ONCE]
    lines.append(f"| | all | | | {len(faults)} | {sum(not row['wrong'] for row in faults)} | | |")
    wrong = [f"- {row['job']}, {row['fault']}: {'; '.join(row['wrong'])}" for row in struck if row["wrong"]]
    return "\n".join([*lines, "", *(["Not survived:", "", *wrong] if wrong else ["Every one was survived."]), ""])


def _line(rows: list[dict[str, Any]]) -> str:
    faults = [row for row in rows if row["fault"] != TWO_AT_ONCE]
    pairs = ["no" if row["wrong"] else "survived" for row in rows if row["fault"] == TWO_AT_ONCE]
    survived, last = sum(not row["wrong"] for row in faults), rows[-1]
    mean_s = sum(row["wall_s"] for row in rows) / len(rows)
    counts = f"{last['points']} | {last['places']} | {len(faults)} | {survived}"
    return f"| {last['home']} | {last['job']} | {counts} | {pairs[-1] if pairs else '-'} | {mean_s:.0f} |"


def write_table(text: str, readme: Path = README) -> None:
    """Put the table between its marks."""
    before, _, rest = readme.read_text().partition(BEGIN)
    readme.write_text(before + BEGIN + text + END + rest.partition(END)[2])
