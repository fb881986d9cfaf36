"""Run a job from the command line: `python -m training.jobs JOB --partition 2026-11-05`.

The result goes to stdout as JSON, progress to stderr. Exit status: 0 done, 1 failed, 2 wrong usage.
"""

from __future__ import annotations

import sys

from training.command_line import run_commands
from training.jobs.commands import jobs


def main(arguments: list[str] | None = None) -> int:
    """Run the job that the arguments name and return the exit status."""
    return run_commands(jobs, arguments)


if __name__ == "__main__":
    sys.exit(main())
