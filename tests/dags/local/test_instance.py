"""A home's Airflow is its own: port, database, secrets; and nothing of another Airflow's settings."""

import json
import os
import socket
from pathlib import Path

import pytest
from local.instance import COMPONENTS, TRIGGERER, LocalAirflow, stored_port

from training.contracts.errors import AttuneError
from training.settings import Settings


@pytest.fixture
def airflow(tmp_path):
    return LocalAirflow(Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home")}))


def test_a_free_port_is_chosen_once_and_kept(tmp_path):
    first = stored_port(tmp_path, "airflow")
    assert stored_port(tmp_path, "airflow") == first
    assert stored_port(tmp_path, "mlflow") != first


def test_a_port_that_somebody_took_is_given_up_unless_it_is_our_server(tmp_path):
    port = stored_port(tmp_path, "airflow")
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        assert stored_port(tmp_path, "airflow", reuse_taken=True) == port
        assert stored_port(tmp_path, "airflow") != port


def test_two_homes_share_nothing(tmp_path):
    homes = [LocalAirflow(Settings.from_env({"ATTUNE_HOME": str(tmp_path / name)})) for name in ("a", "b")]
    first, second = (home.environment() for home in homes)
    for name in (
        "ATTUNE_HOME",
        "AIRFLOW_HOME",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        "AIRFLOW__API__BASE_URL",
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__API_AUTH__JWT_SECRET",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER",
    ):
        assert first[name] != second[name]


def test_nothing_of_another_airflow_comes_in(airflow, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW__CELERY__BROKER_URL", "redis://elsewhere")
    monkeypatch.setenv("AIRFLOW_HOME", "/elsewhere")
    environment = airflow.environment()
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert "AIRFLOW__CELERY__BROKER_URL" not in environment
    assert environment["AIRFLOW_HOME"] == str(airflow.home)


def test_secrets_are_made_once_and_only_the_owner_reads_them(airflow):
    first = airflow.environment()
    assert airflow.environment() == first
    path = airflow.home / "secrets.json"
    assert path.stat().st_mode & 0o077 == 0
    assert len(json.loads(path.read_text())["jwt_secret"]) == 64


def test_a_local_airflow_sends_no_ticks_unless_asked_to(airflow, monkeypatch):
    monkeypatch.delenv("ATTUNE_SCHEDULE", raising=False)
    assert airflow.environment()["ATTUNE_SCHEDULE"] == "manual"
    monkeypatch.setenv("ATTUNE_SCHEDULE", "daily")
    assert airflow.environment()["ATTUNE_SCHEDULE"] == "daily"


@pytest.mark.airflow
def test_every_setting_is_one_that_airflow_knows(airflow, airflow_home):
    from airflow.configuration import conf

    for name in airflow._airflow_settings():
        if name == "AIRFLOW_HOME":
            continue
        _, section, option = name.lower().split("__")
        assert option in conf.configuration_description[section]["options"], name


@pytest.mark.airflow
def test_airflow_takes_the_command_of_each_component(airflow, airflow_home):
    from airflow.cli.cli_parser import get_parser

    for component in (*COMPONENTS, TRIGGERER):
        _, _, module, *arguments = airflow.command(component)
        command = arguments if module == "airflow" else ["scheduler", *arguments]
        assert command[0] == component
        assert callable(get_parser().parse_args(command).func)


def test_the_scheduler_starts_by_a_module_that_its_environment_finds(airflow):
    module = airflow.command("scheduler")[2]
    folders = airflow.environment()["PYTHONPATH"].split(os.pathsep)
    files = [Path(folder, *module.split(".")).with_suffix(".py") for folder in folders]
    assert module == "airflow" or any(file.is_file() for file in files)
    assert airflow.command("dag-processor")[1:] == ["-m", "airflow", "dag-processor"]


def test_an_ended_component_is_reported_with_the_end_of_its_log(airflow, monkeypatch):
    log = airflow.home / "scheduler.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("one\nno such database\n")
    monkeypatch.setattr(airflow.services, "dead", lambda: [{"name": "scheduler", "log": str(log)}])
    with pytest.raises(AttuneError, match=r"scheduler to go on running, found it ended(?s:.*)no such database"):
        airflow.check_alive()


def test_a_second_airflow_on_a_home_is_refused(airflow, monkeypatch):
    monkeypatch.setattr(airflow.services, "running", lambda: ["scheduler"])
    with pytest.raises(AttuneError, match="stop it with `make down`"):
        airflow.require_stopped()
