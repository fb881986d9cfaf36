"""How compose.yaml becomes processes of this machine, and PostgreSQL as databases.sql leaves it."""

import re

import psycopg
import pytest

from tests.docker.native import servers
from tests.docker.native.__main__ import prepare, seen_at_work
from tests.docker.native.stack import Stack
from tests.docker.native.world import OURS, PORTS, World, image_environment, order

ROLES = {"airflow": {"airflow"}, "celery": {"celery"}, "attune": {"attune", "feast"}, "mlflow": {"mlflow"}}


@pytest.fixture(scope="module")
def variables(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("operator"))


@pytest.fixture(scope="module")
def world(tmp_path_factory, variables):
    return World(tmp_path_factory.mktemp("world"), variables)


def processes(world):
    return [one for name in world.document["services"] for one in world.processes(name)]


def test_two_workers_are_told_apart(world):
    workers = world.processes("airflow-worker")
    assert [one.name for one in workers] == ["airflow-worker-1", "airflow-worker-2"]
    for one in workers:
        assert one.command[-2:] == ("--celery-hostname", one.name)
        assert f"celery@{one.name}" in one.check[-1]


def test_nothing_of_a_container_s_world_is_left(world):
    for one in processes(world):
        inside = " ".join([*one.command, *one.check, *one.env.values()])
        assert not re.search(r"/var/lib/attune|/run/|/opt/attune|0\.0\.0\.0|\$\{", inside), one
        if one.service not in servers_of_others():
            ports = "|".join(map(str, PORTS.values()))
            assert not re.search(rf"\b({'|'.join(PORTS)}|localhost):({ports})\b", inside), one
            assert str(world.home) in inside


def servers_of_others():
    return ("postgres", "valkey")


def test_a_service_is_given_what_compose_gives_it_and_the_image_and_no_more(world, monkeypatch):
    monkeypatch.setenv("ATTUNE_OF_THIS_SHELL", "x")
    surroundings = {"PATH", "HOME", "AIRFLOW_HOME", "LANG", "PYTHONPATH", "OMP_NUM_THREADS"}
    for one in processes(world):
        entry = world.document["services"][one.service]
        image = set(image_environment()) if entry["image"].startswith(OURS) else set()
        own = {"AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT"} if image else set()
        assert set(one.env) == set(entry["environment"]) | image | surroundings | own


def test_services_start_after_those_that_they_wait_for(world):
    steps = order(world.document)
    assert [set(step) for step in steps[:2]] == [{"postgres", "valkey"}, {"airflow-init"}]
    assert sum(map(len, steps)) == len(world.document["services"])


def test_work_is_seen_when_something_new_appears_and_not_by_what_was_there(tmp_path):
    (tmp_path / "old").mkdir()
    is_new = seen_at_work(tmp_path)
    assert not is_new()
    (tmp_path / ".held.lock").touch()
    assert not is_new()
    (tmp_path / ".draft.x").mkdir()
    assert is_new()


@pytest.fixture(scope="module")
def postgres(world):
    """PostgreSQL by the command, the passwords and the script of compose.yaml."""
    stack = Stack(world, print)
    try:
        stack._begin("postgres")
        stack._await_healthy("postgres")
        yield world.port("postgres")
    finally:
        stack.stop()


def connect(port, role, password, database):
    return psycopg.connect(
        host="127.0.0.1", port=port, user=role, password=password, dbname=database, connect_timeout=10
    )


@pytest.mark.integration
def test_each_role_reaches_its_own_databases_alone_and_by_its_password(postgres, variables):
    for role, own in ROLES.items():
        password = variables[f"{role.upper()}_DB_PASSWORD"]
        for database in {"postgres", *(name for names in ROLES.values() for name in names)}:
            if database in own:
                with connect(postgres, role, password, database) as session:
                    session.execute("create table probe (x int)")
                    session.rollback()
                    keepalives = session.execute("select current_setting('tcp_keepalives_idle')").fetchone()
                    assert keepalives == ("30",)
            else:
                with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                    connect(postgres, role, password, database)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connect(postgres, role, "wrong", next(iter(own)))


@pytest.mark.integration
def test_the_superuser_needs_its_password_too(postgres, variables):
    with connect(postgres, "postgres", variables["POSTGRES_PASSWORD"], "postgres") as session:
        roles = session.execute("select rolname from pg_roles where rolcanlogin and not rolsuper").fetchall()
    assert {name for (name,) in roles} == set(ROLES)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(postgres, "postgres", "wrong", "postgres")


def test_a_script_that_fails_is_said(world):
    process = world.processes("postgres")[0]
    with pytest.raises(AssertionError, match="no such thing"):
        servers._run(["bash", "-c", "echo no such thing >&2; exit 3"], process)
