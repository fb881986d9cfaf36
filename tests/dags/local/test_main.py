"""The driver's commands: usage, exit status, one line of error."""

import pytest
from local.__main__ import build_parser, main


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTUNE_HOME", str(tmp_path / "home"))


def test_make_passes_empty_variables_as_none():
    given = build_parser().parse_args(["run", "--logs", "", "--format", "", "--columns", "", "--days", "3"])
    assert (given.logs, given.format, given.columns, given.days) == (None, None, None, 3)


def test_down_on_a_home_where_nothing_runs_says_so(capsys):
    assert main(["down"]) == 0
    assert "nothing was running" in capsys.readouterr().out


def test_an_expected_failure_is_one_line_and_status_1(capsys):
    assert main(["run", "--days", "0"]) == 1
    assert (
        capsys.readouterr().err
        == "error: expected DAYS of at least 2, found 0; a promotion and a refresh take two days\n"
    )
