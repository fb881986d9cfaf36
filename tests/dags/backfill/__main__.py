"""Backfill thirty days while a reader reads on: `PYTHONPATH=dags python -m tests.dags.backfill` fails on any fault."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.dags.backfill.story import Plan, tell
from tests.dags.backfill.table import faults, table
from training.contracts.errors import AttuneError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.dags.backfill", description=__doc__)
    parser.add_argument("--days", type=int, default=30, help="days to backfill (default %(default)s)")
    parser.add_argument("--users", type=int, default=300, help="people in the logs (default %(default)s)")
    parser.add_argument("--items", type=int, default=120, help="items in them (default %(default)s)")
    parser.add_argument("--keep", type=Path, help="empty folder in which everything stays; else it is removed")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # an end from outside stops every server too
    begun = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - begun:6.1f} s] {line}", flush=True)

    with tempfile.TemporaryDirectory(prefix="attune-backfill-") as folder:
        kept = (options.keep or Path(folder)).resolve()
        try:
            told = tell(Plan(kept, options.users, options.items, options.days), say)
        except AttuneError as error:
            parser.error(str(error))
    print(table(told))
    return int(bool(faults(told)))


if __name__ == "__main__":
    sys.exit(main())
