"""The main job: its days, one driver per home, and stopping on the way out."""

import pytest
from local import run
from local.instance import LocalAirflow
from local.logs import LogSource

from training.contracts.errors import AttuneError
from training.settings import Settings


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTUNE_HOME", str(tmp_path / "home"))
    return Settings.from_env()


def test_a_promotion_and_a_refresh_take_two_days(settings):
    with pytest.raises(AttuneError, match="expected DAYS of at least 2, found 1"):
        run.run(settings, LogSource(), 1, print)


def test_a_home_has_one_driver(settings):
    folder = settings.home / "airflow"
    with run.only_driver(folder):
        second = run.only_driver(folder)
        with pytest.raises(AttuneError, match="expected no other run"):
            second.__enter__()
    with run.only_driver(folder):
        assert (folder / "driver.lock").is_file()


def test_whatever_happens_airflow_is_stopped(settings, monkeypatch):
    airflow, stopped = LocalAirflow(settings), []
    monkeypatch.setattr(airflow, "begin", lambda: None)
    monkeypatch.setattr(airflow, "stop", lambda: stopped.append(True))
    with pytest.raises(KeyboardInterrupt), run.started(airflow, lambda line: None):
        raise KeyboardInterrupt
    assert stopped == [True]


def test_servers_that_are_up_are_left_alone(settings, monkeypatch):
    airflow, stopped = LocalAirflow(settings), []
    monkeypatch.setattr(airflow.services, "running", lambda: ["scheduler"])
    monkeypatch.setattr(airflow, "stop", lambda: stopped.append(True))
    with pytest.raises(AttuneError, match="make down"), run.started(airflow, lambda line: None):
        pass
    assert stopped == []
