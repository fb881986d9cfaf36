"""Measure from the command line: `python -m serving_export.bench`, with a word of what.

`speed`, `frame`: what a fixed frame costs, `freshness`: what events of the day are worth, `soak`: what minutes of moves
and kills break.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

from training.contracts.errors import AttuneError
from training.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    """Return 0, or 1 after one line that says what was wrong, or after the table of a soak that broke something."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    try:
        table, is_broken = _measure(Settings.from_env(), options)
    except AttuneError as error:
        print(error, file=sys.stderr)
        return 1
    print(table)
    return int(is_broken)


def _measure(settings: Settings, options: argparse.Namespace) -> tuple[str, bool]:
    """Return a table, and whether anything in it may not be."""
    if options.what == "frame":
        from serving_export.bench.frame import run_frame

        return run_frame(settings, options.days, options.data), False
    if options.what == "freshness":
        from serving_export.bench.freshness import run_freshness

        return run_freshness(settings, options.data), False
    if options.what == "soak":
        from serving_export.bench.soak.run import soak
        from serving_export.bench.soak.table import table

        signal.signal(signal.SIGTERM, signal.default_int_handler)  # either ends its servers and tells what was found
        account = soak(settings, options.minutes)
        return table(account, options.minutes), bool(account.tally.broken)
    from serving_export.bench.report import measure

    settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=settings.home) as folder:
        return measure(settings, Path(folder), options.users, options.items, options.rows), False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving_export.bench", description=__doc__)
    parser.add_argument(
        "what", nargs="?", choices=["speed", "frame", "freshness", "soak"], default="speed", help="default: speed"
    )
    parser.add_argument("--days", type=int, default=31, help="retrains in a row, for `frame` (default 31)")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long `soak` goes on (default 10)")
    parser.add_argument(
        "--data", type=Path, help="folder of public logs, for `frame` and `freshness`; simulated ones without"
    )
    parser.add_argument("--users", type=int, default=50_000, help="users in the published snapshot (default 50000)")
    parser.add_argument("--items", type=int, default=50_000, help="items to search (default 50000)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of CSV to import (default 1000000)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
