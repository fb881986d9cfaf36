"""A command prints its answer, or one line of error, and its exit status says which."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import click
import pytest

from training.command_line import INTERRUPTED, Answer, PartitionType, answers, run_commands
from training.contracts.errors import AttuneError, UsageError
from training.contracts.partitions import Partition


@click.group()
def commands() -> None:
    """Commands of this test."""


@commands.command()
@click.option("--failure", default="", help="what happens")
@answers
def step(failure: str) -> Answer:
    """Take a step."""
    raised = {
        "expected": AttuneError("expected a key,\nfound none"),
        "usage": UsageError("no such option"),
        "unforeseen": KeyError("a"),
        "interrupted": KeyboardInterrupt(),
        "closed": BrokenPipeError(),
    }
    if failure in raised:
        raise raised[failure]
    return Answer(values={"b": 1, "a": [2]}, text="done", error=failure)


def test_an_answer_is_text_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_commands(commands, ["step"]) == 0
    assert capsys.readouterr().out == "done\n"
    assert run_commands(commands, ["step", "--json"]) == 0
    assert capsys.readouterr().out == '{"a": [2], "b": 1}\n'


def test_an_answer_may_hold_an_error_and_is_printed_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_commands(commands, ["step", "--failure", "one is unknown"]) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("done\n", "error: one is unknown\n")


@pytest.mark.parametrize(
    ("failure", "status", "line"),
    [
        ("expected", 1, "error: expected a key, found none\n"),
        ("usage", 2, "error: no such option\n"),
        ("unforeseen", 1, "error: KeyError: 'a' (add --debug for the traceback)\n"),
        ("interrupted", 1, f"error: {INTERRUPTED}\n"),
        ("closed", 1, ""),
    ],
)
def test_a_failure_is_one_line_and_its_status(
    failure: str, status: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_commands(commands, ["step", "--failure", failure]) == status
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", line)


@pytest.mark.parametrize(
    "arguments", [["nothing"], ["step", "loose"], ["step", "--speed", "3"], ["step", "--failure"], ["--json", "step"]]
)
def test_wrong_usage_is_the_usage_and_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_commands(commands, arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    *usage, error = shown.err.splitlines()
    assert all(line.startswith("Usage: ") for line in usage)
    assert error.startswith("error: ")


def test_no_command_at_all_shows_the_help_and_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_commands(commands, []) == 2
    assert "Take a step." in capsys.readouterr().err


def test_a_reader_that_goes_away_ends_the_command_quietly() -> None:
    code = """
import sys
from training.command_line import INTERRUPTED, Answer, answers, run_commands
import click

@click.group()
def commands(): pass

@commands.command()
@answers
def much() -> Answer:
    return Answer(values={}, text="x" * 10_000_000)

sys.exit(run_commands(commands, ["much"]))
"""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=closed, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)


def test_text_that_utf_8_cannot_hold_is_told_in_one_line() -> None:
    code = "from tests.training.test_command_line import *; raise SystemExit(run_commands(commands))"
    command = [sys.executable.encode(), b"-c", code.encode(), b"step", b"--failure", b"\xff"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"done\n")
    assert done.stderr.startswith(b"error: ")
    assert b"Traceback" not in done.stderr


def test_a_partition_is_read_as_a_day() -> None:
    kind = PartitionType()
    day = kind.convert("2026-11-05", None, None)
    assert day == kind.convert(day, None, None) == Partition.parse("2026-11-05")
    with pytest.raises(click.BadParameter, match="found 'today'"):
        kind.convert("today", None, None)
    assert json.dumps(str(day)) == '"2026-11-05"'
