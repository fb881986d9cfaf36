"""Drive a local Airflow: `run` the main job and stop, or bring everything `up` and `down`. `make` calls this."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from typing import Any

from training.contracts.errors import AttuneError
from training.settings import Settings

from local.logs import LogSource, preview
from local.run import run
from local.servers import bring_down, bring_up


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status."""
    given = build_parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    begun = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - begun:6.1f} s] {line}", flush=True)

    try:
        settings = Settings.from_env()
        if given.command == "up":
            bring_up(settings, say)
        elif given.command == "down":
            bring_down(settings, say)
        else:
            source = LogSource(folder=given.logs, format=given.format, columns=given.columns)
            if given.preview:
                print(preview(settings, source), flush=True)
                return 0
            print(run(settings, source, given.days, say), flush=True)
    except AttuneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing is left running, and the same command goes on from here", file=sys.stderr)
        return 1
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the commands."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    job = commands.add_parser("run", help="the main job, then stop")
    job.add_argument("--days", type=int, default=3, help="how many last days go one by one through the scheduler")
    look = commands.add_parser("preview", help="what an import would read and write")
    for command in (job, look):
        command.add_argument("--logs", type=_folder, help="folder of a data set; without it logs are simulated")
        command.add_argument("--format", type=_given, help="csv, or a public layout such as movielens")
        command.add_argument("--columns", type=_folder, help="column map of a csv data set")
    for command, default in ((job, ""), (look, "1")):
        command.add_argument("--preview", type=_yes, default=default, help="1: read and report, but write nothing")
    commands.add_parser("up", help="start Airflow, MLflow, the lookup server and the stream's worker")
    commands.add_parser("down", help="stop them")
    return parser


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _folder(text: str) -> Path | None:
    return Path(text).expanduser() if text else None


def _yes(text: str) -> bool:
    return text.lower() not in ("", "0", "false", "no")


def _given(text: str) -> str | None:
    return text or None


if __name__ == "__main__":
    sys.exit(main())
