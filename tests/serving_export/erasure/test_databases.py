"""Rows go from SQLite and DuckDB, and so do their bytes in pages that are free."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from serving_export.erasure.databases import erase_duckdb, erase_sqlite, find_duckdb, find_sqlite
from serving_export.erasure.people import People

PEOPLE = People(["u007"])


@pytest.fixture
def sqlite(tmp_path: Path) -> Path:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "create table events (user_id text, note text);"
            "create table xcom (value text, packed blob);"
            "insert into events values ('u007', 'x'), ('u008', 'liked by u007');"
            """insert into xcom values ('{"users": ["u007"]}', cast('of u007' as blob));"""
        )
    return path


def test_sqlite_rows_go_and_mentions_are_masked(sqlite: Path) -> None:
    assert find_sqlite(sqlite, PEOPLE) == ["table events: 2 rows", "table xcom: 1 rows"]
    assert erase_sqlite(sqlite, PEOPLE) == 3
    assert find_sqlite(sqlite, PEOPLE) == []
    assert b"u007" not in sqlite.read_bytes()
    with closing(sqlite3.connect(sqlite)) as connection:
        assert connection.execute("select * from events").fetchall() == [("u008", "liked by ****")]
        assert connection.execute("select * from xcom").fetchall() == [('{"users": ["****"]}', b"of ****")]


def test_a_row_that_was_deleted_before_is_in_the_free_pages(sqlite: Path) -> None:
    with closing(sqlite3.connect(sqlite)) as connection:
        connection.executescript("pragma secure_delete = off; delete from events; drop table xcom;")
    [found] = find_sqlite(sqlite, PEOPLE)
    assert found.startswith("free pages")
    erase_sqlite(sqlite, PEOPLE)
    assert find_sqlite(sqlite, PEOPLE) == []


def test_the_warehouse_is_copied_without_them_or_their_free_blocks(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema marts")
        connection.execute(
            "create table marts.facts as select 'u' || lpad((n % 10)::varchar, 3, '0') as user_id, 's' || n as key, n "
            "from range(1000) as t(n)"
        )
        connection.execute(
            "create table items as select 'i1' as item_id, 'the tale of u007' as title, 'u007' as item_name"
        )
        connection.execute("create view seen as select count(*) as num from marts.facts")
        connection.execute("create table dropped as select 'u007 was here' as text")
        connection.execute("checkpoint")
        connection.execute("drop table dropped")
    assert find_duckdb(path, PEOPLE) == [
        '"marts"."facts"."user_id": 100 rows',
        '"main"."items"."title": 1 rows',
    ]
    assert erase_duckdb(path, PEOPLE) == 101
    assert find_duckdb(path, PEOPLE) == []
    assert b"u007 was here" not in path.read_bytes()
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("select num from seen").fetchall() == [(900,)]
        assert connection.execute("select title from items").fetchall() == [("the tale of ***",)]
    assert not [child for child in tmp_path.iterdir() if child != path]


def test_tables_without_row_numbers_are_erased_too(tmp_path: Path) -> None:
    path = tmp_path / "users-0-of-1.db"
    looks_like_one = b"\0u007\0"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "create table overlay (view integer, user_id text, is_virtual text, vector blob, seen text, "
            "primary key (view, user_id)) WITHOUT ROWID"
        )
        rows = [
            (1, "u007", "", None, ""),
            (2, "u007", "", None, ""),
            (1, "u|08", "of u007", None, ""),
            (11, "u8", "", looks_like_one, '["u007"]'),
        ]
        connection.executemany("insert into overlay values (?, ?, ?, ?, ?)", rows)
        connection.commit()
    assert find_sqlite(path, PEOPLE) == ["table overlay: 3 rows"]
    assert erase_sqlite(path, PEOPLE) == 3
    with closing(sqlite3.connect(path)) as connection:
        left = connection.execute("select * from overlay order by view").fetchall()
    assert left == [(1, "u|08", "of ****", None, ""), (11, "u8", "", looks_like_one, '["u007"]')]
