"""Let every job meet every kind of fault and print what became of it: `python -m tests.faults --help`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.jobs import ENVIRONMENT

os.environ.update(ENVIRONMENT)  # before anything starts a thread, which a child would lack


def main() -> int:
    options = _parser().parse_args()
    from tests.faults.chosen import tried
    from tests.faults.table import table, write_table

    with tempfile.TemporaryDirectory(prefix="faults-") as own:
        folder = Path(options.folder or own).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        notes = folder / "results.jsonl"
        for row in tried(folder, options, _done(notes)):
            with notes.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(_line(row), flush=True)
        rows = _done(notes)
    text = table(rows)
    print(text)
    if options.write:
        write_table(text)
    return int(any(row["wrong"] for row in rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--jobs", default="", help="comma-separated names; all unless named")
    parser.add_argument("--worlds", action="store_true", help="only the moves, on homes whose vectors are drawn")
    parser.add_argument("--all", action="store_true", help="three calls of each place, not one, for kills and errors")
    parser.add_argument("--num", type=int, default=10**6, help="at most so many faults of a job, spread over it")
    parser.add_argument("--minutes", type=float, default=10**6, help="begin no fault after so long")
    parser.add_argument("--folder", default="", help="where homes and results are kept, to go on from; else a new one")
    parser.add_argument("--write", action="store_true", help="write the table into README.md")
    return parser


def _done(notes: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []


def _line(row: dict[str, object]) -> str:
    wrong = "; ".join(row["wrong"])  # type: ignore[arg-type]
    return f"{time.strftime('%H:%M:%S')} {row['home']} {row['job']}: {row['fault']}: {wrong or 'survived'}"


if __name__ == "__main__":
    sys.exit(main())
