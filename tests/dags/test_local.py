"""The driver's commands: usage, one driver per home, and stopping on the way out."""

import pytest
from orchestration import local
from orchestration.local_airflow import LocalAirflow
from orchestration.local_logs import LogSource

from training.contracts.errors import AttuneError
from training.settings import Settings


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTUNE_HOME", str(tmp_path / "home"))
    return Settings.from_env()


def test_make_passes_empty_variables_as_none():
    given = local.build_parser().parse_args(["run", "--logs", "", "--format", "", "--columns", "", "--days", "3"])
    assert (given.logs, given.format, given.columns, given.days) == (None, None, None, 3)


def test_a_promotion_and_a_refresh_take_two_days(settings):
    with pytest.raises(AttuneError, match="expected DAYS of at least 2, found 1"):
        local.run(settings, LogSource(), 1, print)


def test_a_home_has_one_driver(settings):
    folder = settings.home / "airflow"
    with local.only_driver(folder):
        second = local.only_driver(folder)
        with pytest.raises(AttuneError, match="expected no other run"):
            second.__enter__()
    with local.only_driver(folder):
        assert (folder / "driver.lock").is_file()


def test_whatever_happens_airflow_is_stopped(settings, monkeypatch):
    airflow, stopped = LocalAirflow(settings), []
    monkeypatch.setattr(airflow, "begin", lambda: None)
    monkeypatch.setattr(airflow, "stop", lambda: stopped.append(True))
    with pytest.raises(KeyboardInterrupt), local.started(airflow, lambda line: None):
        raise KeyboardInterrupt
    assert stopped == [True]


def test_servers_that_are_up_are_left_alone(settings, monkeypatch):
    airflow, stopped = LocalAirflow(settings), []
    monkeypatch.setattr(airflow.services, "running", lambda: ["scheduler"])
    monkeypatch.setattr(airflow, "stop", lambda: stopped.append(True))
    with pytest.raises(AttuneError, match="make down"), local.started(airflow, lambda line: None):
        pass
    assert stopped == []


def test_down_on_a_home_where_nothing_runs_says_so(settings, capsys):
    assert local.main(["down"]) == 0
    assert "nothing was running" in capsys.readouterr().out


def test_an_expected_failure_is_one_line_and_status_1(settings, capsys):
    assert local.main(["run", "--days", "0"]) == 1
    assert (
        capsys.readouterr().err
        == "error: expected DAYS of at least 2, found 0; a promotion and a refresh take two days\n"
    )
