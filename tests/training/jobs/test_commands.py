"""Each job is a command whose options are the parameters of its function."""

import inspect
import json

import click
import pytest

from training.command_line import run_commands
from training.jobs import JOBS, find
from training.jobs.commands import command_of, jobs

DAY = ["--partition", "2026-11-05"]


@pytest.fixture
def given(monkeypatch):
    """Collect what would be run."""
    calls = []

    def run(job, partition, **options):
        calls.append((job, partition, {name: value for name, value in options.items() if value is not None}))
        return {"ran": job}

    monkeypatch.setattr("training.jobs.commands.run", run)
    return calls


@pytest.mark.parametrize("job", JOBS)
def test_every_parameter_of_a_job_is_an_option_with_a_help(job):
    options = {option.name: option for option in command_of(job).params}
    parameters = list(inspect.signature(find(job)).parameters.values())[2:]
    assert {"partition", "as_json", "debug", "describe", *(p.name for p in parameters)} == set(options)
    for parameter in parameters:
        assert options[parameter.name].required is (parameter.default is parameter.empty)
    shown = str(command_of(job).help)
    assert inspect.getdoc(find(job)).startswith(shown)
    assert not {"Args:", "Returns:", "Raises:"} & {*shown.splitlines()}


def test_help_says_of_an_option_what_the_docstring_says_of_the_argument():
    options = {option.name: option.help for option in command_of("train_consumer").params}
    assert options["loss"].startswith('For `matching` with "pairs": info_nce, sim_clr, row_bcnce, column_bcnce')
    assert options["loss"].endswith(" or bbcnce (the default).")
    assert options["consumer"] == "Whose model. [default: matching]"


def test_values_are_read_as_the_function_takes_them(given):
    world = ["--num-users", "50", "--num-items=20", "--last-day", "20261105"]
    assert run_commands(jobs, ["simulate_logs", *DAY, *world]) == 0
    previous = json.dumps({"space_id": "20261105-1f2e3d4c"})
    assert run_commands(jobs, ["train_space", *DAY, "--previous", previous]) == 0
    assert [options for _, _, options in given] == [
        {"num_users": 50, "num_items": 20, "last_day": "20261105"},
        {"previous": {"space_id": "20261105-1f2e3d4c"}},
    ]


@pytest.mark.parametrize(
    ("spelled", "preview"),
    [(["--preview"], True), (["--preview", "true"], True), (["--preview=1"], True), (["--preview", "false"], False)],
)
def test_a_preview_may_stand_alone_or_have_a_value(spelled, preview, given):
    for arguments in (["--folder", "f", "--format", "csv", *spelled], [*spelled, "--folder", "f", "--format", "csv"]):
        assert run_commands(jobs, ["import_logs", *arguments]) == 0
        assert given.pop() == ("import_logs", None, {"folder": "f", "format": "csv", "preview": preview})


def test_the_job_may_stand_behind_its_options(given):
    assert run_commands(jobs, [*DAY, "land_partition"]) == 0
    assert run_commands(jobs, ["--debug", "land_partition", *DAY]) == 0
    assert given == [("land_partition", "2026-11-05", {})] * 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate_logs", *DAY, "--num-users", "many"],
        ["train_space", *DAY, "--previous", "{"],
        ["encode_partition", *DAY],
        ["import_logs", "--folder", "f", "--format", "csv", "--preview", "perhaps"],
    ],
)
def test_a_value_of_another_kind_and_a_missing_one_are_wrong_usage(arguments, given, capsys):
    assert run_commands(jobs, arguments) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")
    assert given == []


def test_jobs_are_listed_in_the_order_of_a_day():
    assert jobs.list_commands(click.Context(jobs)) == list(JOBS)
