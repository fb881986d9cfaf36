"""Look up, rank, inspect and move what is served: `attune COMMAND --help`, or `python -m serving_export COMMAND`.

Answers go to stdout, progress to stderr. Exit status: 0 done, 1 failed or unknown id, 2 wrong usage.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from training.command_line import run_commands

COMMANDS = {
    **dict.fromkeys(("lookup", "items", "status", "lineage"), "serving_export.commands.reading"),
    "serve": "serving_export.commands.serve",
    "tokens": "serving_export.commands.tokens",
    "stream": "serving_export.commands.stream",
    **dict.fromkeys(("recommend", "target", "rank"), "serving_export.commands.ranking"),
    **dict.fromkeys(("similar-users", "similar-items"), "serving_export.commands.similar"),
    "history": "serving_export.commands.history",
    **dict.fromkeys(("rollback", "reconcile", "pin", "unpin", "frame-start"), "serving_export.commands.moving"),
    **dict.fromkeys(("refresh", "promote"), "serving_export.commands.moving"),
    **dict.fromkeys(("erase", "retention"), "serving_export.commands.removing"),
    "jobs": "training.jobs.commands",
}
"""The module of each command, in the order of the help; it is imported when the command is named."""
COMPLETION = 'Completion: eval "$(_ATTUNE_COMPLETE=bash_source attune)", or zsh_source, or fish_source.'


class Commands(click.Group):
    """The commands of `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, None if there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name.replace("-", "_"))
        return command


@click.group(cls=Commands, context_settings={"max_content_width": 120}, epilog=COMPLETION)
@click.version_option(package_name="attune", prog_name="attune")
def attune() -> None:
    """Look up, rank, inspect and move what is served, and run the jobs behind it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name and return the exit status."""
    return run_commands(attune, arguments)


if __name__ == "__main__":
    sys.exit(main())
