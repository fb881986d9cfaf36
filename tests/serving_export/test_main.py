"""The command line answers, or fails in one line with the right exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from serving_export.__main__ import COMMANDS, attune, main
from tests.serving_export.world import DAY1, DAY2, World
from training.registry.pointer import read_pointer
from training.settings import Settings


@pytest.fixture(autouse=True)
def _in_this_home(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTUNE_HOME", str(world.settings.home))


@pytest.mark.parametrize("command", [*COMMANDS, ""])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert (
        all(name in shown for name in COMMANDS) if not command else "--json" in shown or command in ("jobs", "tokens")
    )


@pytest.mark.parametrize(
    "arguments",
    [[], ["nothing"], ["lookup"], ["refresh", "--partition", "today"], ["serve", "--workers", "0"], ["tokens"]],
)
def test_wrong_usage_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err


def test_each_command_is_in_the_module_that_the_table_names() -> None:
    context = attune.make_context("attune", ["status"])
    assert [attune.get_command(context, name).name for name in COMMANDS] == list(COMMANDS)
    assert attune.get_command(context, "nothing") is None


def test_a_lookup_imports_no_more_than_it_needs(world: World) -> None:
    world.promote(DAY1)
    code = """
import sys
from serving_export.__main__ import main
main(["lookup", "--user", "u01"])
kept_out = ("argparse", "typer", "pydantic", "rich", "pandas", "pyarrow", "sqlalchemy", "torch", "subprocess")
assert not [name for name in kept_out if name in sys.modules], sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"attune, version {version('attune')}\n"


def test_jobs_are_commands_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "partition_arrived", "--partition", "2026-11-05"]) == 0
    assert json.loads(capsys.readouterr().out)["arrived"] is False
    assert main(["jobs", "partition_arrived"]) == 2
    assert main(["jobs", "--help"]) == 0
    assert "materialise_features" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "offered"), [("attune r", {"recommend", "rank", "refresh"}), ("attune rank --f", {"--format"})]
)
def test_the_shell_completes_commands_and_options(typed: str, offered: set[str]) -> None:
    environment = {**os.environ, "_ATTUNE_COMPLETE": "bash_complete", "COMP_WORDS": typed}
    environment["COMP_CWORD"] = str(typed.count(" "))
    code = "import sys; sys.argv[0] = 'attune'; from serving_export.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert offered <= {line.partition(",")[2] for line in done.stdout.splitlines()}


def test_debug_shows_the_traceback_that_is_hidden_otherwise(caplog: pytest.LogCaptureFixture) -> None:
    assert main(["lookup", "--user", "u01"]) == 1
    assert caplog.records == []
    assert main(["lookup", "--user", "u01", "--debug"]) == 1
    assert caplog.records[-1].exc_info is not None


def test_an_unforeseen_error_is_one_line(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.promote(DAY1)
    entry = read_pointer(world.settings.published_dir).live
    (world.settings.published_dir / entry.path / "manifest.json").write_text("{")
    assert main(["lookup", "--user", "u01"]) == 1
    assert capsys.readouterr().err.startswith("error: JSONDecodeError")


@pytest.mark.integration
def test_rollback_and_lineage_as_processes(world: World, fresh_mlflow: Callable[[Settings], Settings]) -> None:
    fresh_mlflow(world.settings)
    first, _ = world.promote(DAY1, DAY2)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "serving_export", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert json.loads(run("rollback", "--json").stdout)["live"]["space_id"] == first
    traced = json.loads(run("lineage", "--user", "u01", "--json").stdout)
    assert (traced["snapshot"]["space_id"], traced["pointer"]["kind"]) == (first, "rollback")
    assert run("rollback").stdout.startswith(f"nothing moved: space {first} of 2026-11-01 is live since the rollback")
    again = run("rollback", "--further")
    assert (again.returncode, again.stdout) == (1, "")
    assert "only one space was ever promoted" in again.stderr
