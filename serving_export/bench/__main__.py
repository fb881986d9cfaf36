"""Measure from the command line: speed, or with `frame` what a fixed frame costs: `python -m serving_export.bench`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

from training.contracts.errors import AttuneError
from training.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    """Return 0, or 1 after one line that says what was wrong."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    try:
        table = _measure(Settings.from_env(), options)
    except AttuneError as error:
        print(error, file=sys.stderr)
        return 1
    print(table)
    return 0


def _measure(settings: Settings, options: argparse.Namespace) -> str:
    if options.what == "frame":
        from serving_export.bench.frame import run_frame

        return run_frame(settings, options.days, options.data)
    from serving_export.bench.report import measure

    settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=settings.home) as folder:
        return measure(settings, Path(folder), options.users, options.items, options.rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving_export.bench", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["speed", "frame"], default="speed", help="default: speed")
    parser.add_argument("--days", type=int, default=31, help="retrains in a row, for `frame` (default 31)")
    parser.add_argument("--data", type=Path, help="folder of public logs, for `frame`; simulated ones without")
    parser.add_argument("--users", type=int, default=50_000, help="users in the published snapshot (default 50000)")
    parser.add_argument("--items", type=int, default=50_000, help="items to search (default 50000)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of CSV to import (default 1000000)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
