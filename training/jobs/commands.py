"""Make a command of each job: its options are the parameters of the job's function, its help the docstring."""

from __future__ import annotations

import inspect
import json
import re
import types
import typing
from typing import Any

import click

from training.command_line import Answer, answers
from training.jobs import JOBS, find, run

_SECTION = re.compile(r"\n\n(?=(?:Args|Returns|Raises):\n)")
"""Where the sections of a docstring begin."""
_ARGUMENT = re.compile(r"^    (\w+): (.*(?:\n     +.*)*)", re.MULTILINE)
"""One entry of the section of arguments: its name, and its text with the lines that go on with it."""


class Json(click.ParamType[Any]):
    """A value written in JSON."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return what the text says, or end with wrong usage."""
        try:
            return json.loads(value)
        except json.JSONDecodeError as error:
            self.fail(f"expected JSON, found {value!r}: {error}", param, ctx)


class Jobs(click.Group):
    """One command for each job, in the order of a day; a job's module is imported when the job is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the jobs' names."""
        return list(JOBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a job's command, None if there is no such job."""
        return command_of(cmd_name) if cmd_name in JOBS else None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, in which the job's name may stand anywhere."""
        named = next((place for place, word in enumerate(args) if word in JOBS), 0)
        return super().parse_args(ctx, [*args[named : named + 1], *args[:named], *args[named + 1 :]])


jobs = Jobs(name="jobs", help="Run one step of the daily workflow on one partition; its result is printed as JSON.")


def command_of(job: str) -> click.Command:
    """Return the command that runs a job."""

    @answers
    def answer(partition: str | None, **options: Any) -> Answer:
        values = run(job, partition, **options)
        return Answer(values=values, text=json.dumps(values, indent=1, sort_keys=True))

    function = find(job)
    about = inspect.getdoc(function) or ""
    told = _arguments(about)
    parameters = list(inspect.signature(function, eval_str=True).parameters.values())[2:]
    command = click.command(name=job, help=_SECTION.split(about)[0], short_help=about.split("\n\n")[0])(answer)
    command.params[:0] = [
        click.Option(["--partition"], metavar="YYYY-MM-DD", help="the UTC day to process"),
        *(_option(parameter, told.get(parameter.name, "")) for parameter in parameters),
        click.Option(["--describe"], help="print the job's signature and documentation", **_AT_ONCE),
    ]
    return command


def _arguments(about: str) -> dict[str, str]:
    """Return what a docstring says of each argument."""
    section = about.partition("\nArgs:\n")[2].split("\n\n")[0]
    return {name: " ".join(text.split()) for name, text in _ARGUMENT.findall(section)}


def _option(parameter: inspect.Parameter, told: str) -> click.Option:
    """Return the option `--some-name` of the parameter `some_name`; what is not given is left to the job's default."""
    how: dict[str, Any] = {"type": _type(parameter.annotation), "required": parameter.default is parameter.empty}
    if how["type"] is click.BOOL:
        how |= {"is_flag": False, "flag_value": True}
    if not how["required"] and parameter.default is not None:
        told = f"{told} [default: {parameter.default}]".strip()
    return click.Option([f"--{parameter.name.replace('_', '-')}"], help=told, **how)


def _type(annotation: Any) -> click.ParamType[Any]:
    """Return how text becomes a value: number, truth or text as annotated, JSON for whatever has parts."""
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    kinds = set(typing.get_args(annotation)) if union else {annotation}
    for kind, type_ in ((str, click.STRING), (bool, click.BOOL), (int, click.INT), (float, click.FLOAT)):
        if kind in kinds:
            return type_
    return Json()


def _describe(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print a job's signature and documentation, and end."""
    if wanted:
        function = find(str(ctx.info_name))
        click.echo(f"{ctx.info_name}{inspect.signature(function)}\n\n{inspect.getdoc(function) or ''}")
        ctx.exit()


_AT_ONCE: dict[str, Any] = {"is_flag": True, "is_eager": True, "expose_value": False, "callback": _describe}
