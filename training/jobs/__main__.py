"""Run a job from the command line: `python -m training.jobs JOB --partition 2026-11-05`.

The result goes to stdout as JSON, progress to stderr. Exit status: 0 done, 1 failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import inspect
import json
import logging
import sys
from typing import Any

from training.contracts.errors import AttuneError
from training.jobs import JOBS, UsageError, find, run
from training.library_logs import start_logging


def main(arguments: list[str] | None = None) -> int:
    """Run the job that the arguments name and return the exit status."""
    parser = build_parser()
    known, rest = parser.parse_known_args(arguments)
    start_logging()
    try:
        if known.describe:
            print(describe(known.job))
            return 0
        options = read_options(rest) | ({"preview": read_value(known.preview)} if known.preview else {})
        print(json.dumps(run(known.job, known.partition, **options), indent=1, sort_keys=True))
    except UsageError as error:
        return report(error, 2, known.debug)
    except AttuneError as error:
        return report(error, 1, known.debug)
    except KeyboardInterrupt:
        return report(AttuneError("interrupted; nothing half-written is visible, run the same command again"), 1, False)
    except Exception as error:  # the last resort of a command line: one line, the traceback behind --debug
        if known.debug:
            raise
        return report(AttuneError(f"{type(error).__name__}: {error} (add --debug for the traceback)"), 1, False)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; options of the job itself are read by `read_options`."""
    parser = argparse.ArgumentParser(
        prog="python -m training.jobs",
        description="Run one step of the daily workflow on one partition.",
        epilog="jobs, in the order of a day:\n  " + "\n  ".join(JOBS) + "\n\n`JOB --describe` says what one does.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("job", metavar="JOB", choices=list(JOBS), help="one of the jobs below")
    parser.add_argument("--partition", metavar="YYYY-MM-DD", help="the UTC day to process")
    parser.add_argument("--describe", action="store_true", help="say what the job does and which options it takes")
    parser.add_argument("--preview", nargs="?", const="true", help="import_logs: read and report, but write nothing")
    parser.add_argument("--debug", action="store_true", help="show the traceback of a failure")
    return parser


def read_options(rest: list[str]) -> dict[str, Any]:
    """Return `--name value` and `--name=value` pairs; values are read as JSON where they are JSON.

    Raises:
        UsageError: An argument is not such a pair.
    """
    options: dict[str, Any] = {}
    queue = list(rest)
    while queue:
        name, equals, value = queue.pop(0).partition("=")
        if not name.startswith("--") or len(name) == 2 or not (equals or queue):
            raise UsageError(f"expected --option value, found {name!r} at the end of {' '.join(rest)}")
        options[name[2:].replace("-", "_")] = read_value(value if equals else queue.pop(0))
    return options


def read_value(text: str) -> Any:
    """Return the JSON value of `text`, or `text` itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def describe(job: str) -> str:
    """Return a job's signature and documentation."""
    function = find(job)
    return f"{job}{inspect.signature(function)}\n\n{inspect.getdoc(function) or ''}"


def report(error: AttuneError, status: int, debug: bool) -> int:
    """Print an expected failure as one line, or raise it for its traceback, and return the exit status."""
    if debug:
        logging.getLogger(__name__).error("traceback", exc_info=error)
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
