"""What every command has in common: `--json`, `--debug`, one line for an error, and the exit status.

A command is a function with click's options that returns an `Answer`; its docstring is its help:

    @commands.command()
    @click.option("--user", "user_id", required=True, metavar="ID", help="external id")
    @answers
    def forget(user_id: str) -> Answer:
        '''Remove a user from everything that is kept.'''

Answers go to stdout, progress and errors to stderr. Exit status: 0 done, 1 failed or unknown id, 2 wrong usage.
click and not typer, which is built on a copy of it: typer 0.29 imports pydantic to read a single string, 0.13 s of CPU
time beside the 0.18 s of a whole lookup.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from training.contracts.errors import AttuneError, UsageError
from training.contracts.partitions import Partition
from training.library_logs import start_logging

logger = logging.getLogger(__name__)

DONE, FAILED, WRONG_USAGE = 0, 1, 2
INTERRUPTED = "interrupted; nothing half-written is visible, and what was served goes on being served"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command prints: `values` with --json, else `text`; an `error` makes the exit status 1."""

    values: dict[str, Any]
    text: str
    error: str = ""


class PartitionType(click.ParamType[Partition]):
    """A UTC day, YYYY-MM-DD."""

    name = "partition"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Partition:
        """Return the partition that the text names, or end with wrong usage."""
        try:
            return value if isinstance(value, Partition) else Partition.parse(value)
        except AttuneError as error:
            self.fail(str(error), param, ctx)


def answers(function: Callable[..., Answer]) -> Callable[..., int]:
    """Return a command's function that prints the answer, or an error as one line, and returns the exit status."""

    @click.option("--json", "as_json", is_flag=True, help="print JSON")
    @click.option("--debug", is_flag=True, help="print the traceback of an error")
    @functools.wraps(function)
    def run(*, as_json: bool, debug: bool, **options: Any) -> int:
        start_logging(logging.DEBUG if debug else logging.INFO)
        try:
            return _show(function(**options), as_json=as_json)
        except BrokenPipeError:
            return FAILED
        except KeyboardInterrupt:
            return _fail(INTERRUPTED)
        except Exception as error:  # the last resort of a command line: one line, the traceback behind --debug
            return _explain(error, debug=debug)

    return run


def run_commands(commands: click.Group, arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments (the process's own when None) name and return the exit status."""
    try:
        status: int = commands.main(arguments, standalone_mode=False, token_normalize_func=_dashed) or DONE
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return WRONG_USAGE
    except click.UsageError as error:
        if error.ctx is not None:
            click.echo(error.ctx.get_usage(), err=True)
        return _fail(error.format_message(), WRONG_USAGE)
    except click.Abort:
        return FAILED
    return status


def _dashed(name: str) -> str:
    """Return an option's name as it is declared: `--space_id`, as jobs and reports spell it, is `--space-id`."""
    return name.replace("_", "-")


def to_json(values: dict[str, Any]) -> str:
    """Return values as one line of JSON, keys sorted."""
    return json.dumps(values, sort_keys=True)


def _show(answer: Answer, *, as_json: bool) -> int:
    if as_json:
        click.echo(to_json(answer.values))
    elif answer.text:
        click.echo(answer.text)
    return _fail(answer.error) if answer.error else DONE


def _explain(error: Exception, *, debug: bool) -> int:
    if debug:
        logger.error("traceback", exc_info=error)
    if isinstance(error, AttuneError):
        return _fail(str(error), WRONG_USAGE if isinstance(error, UsageError) else FAILED)
    return _fail(f"{type(error).__name__}: {error}" + ("" if debug else " (add --debug for the traceback)"))


def _fail(message: str, status: int = FAILED) -> int:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    return status
