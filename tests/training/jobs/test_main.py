"""The command line of the jobs: exit status, one line of error, JSON on stdout."""

import json
import subprocess
import sys

import pytest

from training.jobs import JOBS
from training.jobs.__main__ import main


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTUNE_HOME", str(tmp_path))
    return tmp_path


def test_help_lists_every_job(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(job in shown for job in JOBS)


def test_a_job_prints_its_result_as_json_and_exits_0(capsys):
    assert main(["partition_arrived", "--partition", "2026-11-05"]) == 0
    assert json.loads(capsys.readouterr().out) == {"arrived": False, "newest": None}


def test_an_expected_failure_is_one_line_and_exits_1(capsys):
    assert main(["retrain_decision", "--partition", "2026-11-05"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    error = printed.err.strip().splitlines()[-1]
    assert error.startswith("error: expected raw logs under")
    assert "Traceback" not in printed.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["partition_arrived"],
        ["partition_arrived", "--partition", "5 November"],
        ["partition_arrived", "--partition", "2026-11-05", "--speed", "9"],
        ["partition_arrived", "--partition", "2026-11-05", "loose"],
    ],
)
def test_wrong_usage_exits_2_with_one_line(arguments, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("error: ")


def test_an_unknown_job_exits_2():
    assert main(["land", "--partition", "2026-11-05"]) == 2


def test_describe_says_what_a_job_does_and_takes(capsys):
    assert main(["retrain_decision", "--describe"]) == 0
    shown = capsys.readouterr().out
    assert "retrain" in shown
    assert "Return what this partition does with the encoder" in shown


def test_debug_shows_the_traceback(capsys, caplog):
    assert main(["retrain_decision", "--partition", "2026-11-05", "--debug"]) == 1
    assert caplog.records[-1].exc_info is not None


def test_an_unexpected_failure_is_one_line_too(home, capsys):
    (home / "raw").write_text("a file where a folder belongs")
    assert main(["import_logs", "--partition", "2026-11-05", "--folder", str(home), "--format", "csv"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_the_module_runs_as_a_command(home):
    command = [sys.executable, "-m", "training.jobs", "partition_arrived", "--partition", "2026-11-05"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert json.loads(done.stdout)["arrived"] is False
    assert "nothing has arrived for 2026-11-05 yet" in done.stderr


def test_an_import_needs_no_partition_and_any_other_job_does(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ATTUNE_HOME", str(tmp_path / "home"))
    (tmp_path / "events.csv").write_text("user_id,item_id,timestamp\nu,i,2024-01-01\nu,j,2024-01-02\n")
    assert main(["import_logs", "--folder", str(tmp_path), "--format", "csv"]) == 0
    assert json.loads(capsys.readouterr().out)["days"] == ["2024-01-01", "2024-01-02"]
    assert main(["land_partition"]) == 2
    assert "expected a partition key for land_partition" in capsys.readouterr().err


def test_an_option_may_be_spelled_as_jobs_spell_their_arguments(home, capsys):
    for option in ("--space-id", "--space_id"):
        assert main(["gate_candidate", "--partition", "2025-11-08", option, "20251108-00000000"]) == 1
        assert "20251108-00000000" in capsys.readouterr().err
