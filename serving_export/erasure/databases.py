"""Find and take out users in SQLite files and in the DuckDB warehouse, free pages included.

A deleted row stays in the file's free pages, so each file that named anybody is written anew: SQLite's by VACUUM,
DuckDB's as a copy that takes its place.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb

from serving_export.erasure.people import MASK, OWNER, People, mask, names_items
from training.storage import replace_file

_WAIT_S = 30.0
ENTITY_KEY = "entity_key"
"""Of Feast's online store, whose rows belong to their entity."""
_NAME_NOBODY = ("vector", "ranker", "seen")
"""Columns of the stream's overlay that hold numbers and items: what looks like a user's id in them is none."""
Column = tuple[str, str]


def find_sqlite(path: Path, people: People) -> list[str]:
    """Return which tables of a SQLite file name one of the users, and whether its free pages do."""
    with closing(_open(path)) as connection:
        counts = {table: len(list(_rows_naming(connection, table, people))) for table in _tables(connection)}
    found = [f"table {table}: {count} rows" for table, count in counts.items() if count]
    return found or [f"free pages: {count}" for count in [_in_free_pages(path, people)] if count]


def erase_sqlite(path: Path, people: People) -> int:
    """Delete rows that are a user's own, make mentions illegible, and write the file anew; return how many rows.

    Raises:
        sqlite3.OperationalError: Another process holds the file for longer than half a minute.
    """
    with closing(_open(path)) as connection:
        count = 0
        for table in _tables(connection):
            place = _place(connection, table)
            for key, row in list(_rows_naming(connection, table, people)):
                _take_out(connection, table, (place, key), row, people)
                count += 1
        if count or _in_free_pages(path, people):
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return count


def find_duckdb(path: Path, people: People) -> list[str]:
    """Return which columns of the tables of a DuckDB file name one of the users."""
    with duckdb.connect(str(path), read_only=True) as connection:
        counts = {key: _count(connection, key, condition) for key, condition in _conditions(connection, people)}
    return [f"{table}.{name}: {count} rows" for (table, name), count in counts.items() if count]


def erase_duckdb(path: Path, people: People) -> int:
    """Delete the users' rows and put a copy without free blocks in the file's place; return how many rows.

    Always a copy: tables that were built anew since leave the old ones' blocks behind.
    """
    with duckdb.connect(str(path)) as connection:
        count = 0
        for key, condition in _conditions(connection, people):
            count += _count(connection, key, condition)
            connection.execute(_removal(key, condition, people))
        name = connection.execute("select current_database()").fetchall()[0][0]
        with replace_file(path) as temporary:
            connection.execute("checkpoint")
            connection.execute(f"attach '{temporary}' as compact")
            connection.execute(f'copy from database "{name}" to compact')
            connection.execute("detach compact")
            connection.close()
    return count


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)
    connection.text_factory = bytes
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def _tables(connection: sqlite3.Connection) -> list[str]:
    query = (
        "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' "
        "and sql not like 'create virtual %'"
    )
    return [name.decode() for (name,) in connection.execute(query)]


def _place(connection: sqlite3.Connection, table: str) -> str:
    """Return what a row is found by: its number or, in a table without, the bytes of its primary key."""
    (statement,) = connection.execute("select sql from sqlite_master where name = ?", (table,)).fetchone()
    if not re.search(rb"without\s+rowid", statement, re.IGNORECASE):
        return "rowid"
    columns = connection.execute(f'pragma table_info("{table}")').fetchall()
    keys = [name.decode() for _, name, _, _, _, is_key in columns if is_key]
    return "||'|'||".join(f'hex(cast("{name}" as blob))' for name in keys)


def _rows_naming(
    connection: sqlite3.Connection, table: str, people: People
) -> Iterator[tuple[object, dict[str, object]]]:
    cursor = connection.execute(f'select {_place(connection, table)}, * from "{table}"')
    names = [column[0] for column in cursor.description][1:]
    checked = [place for place, name in enumerate(names) if not names_items(name) and name not in _NAME_NOBODY]
    for key, *row in cursor:
        if any(_is_named(names[place], row[place], people) for place in checked):
            yield key.decode() if isinstance(key, bytes) else key, dict(zip(names, row, strict=True))


def _is_named(name: str, cell: object, people: People) -> bool:
    if not isinstance(cell, bytes):
        return False
    if name == OWNER:
        return cell.decode(errors="replace") in people.ids
    if name == ENTITY_KEY:
        return people.in_key(cell)
    return people.mentioned_in(cell)


def _take_out(
    connection: sqlite3.Connection, table: str, found_by: tuple[str, object], row: dict[str, object], people: People
) -> None:
    """Delete a row that is a user's own; of another, overwrite the cells that mention one."""
    place, key = found_by
    if any(_is_named(name, row.get(name), people) for name in (OWNER, ENTITY_KEY)):
        connection.execute(f'delete from "{table}" where {place} = ?', (key,))
        return
    for name, cell in row.items():
        if isinstance(cell, bytes) and not names_items(name) and name not in _NAME_NOBODY and people.mentioned_in(cell):
            kept = f"case typeof(\"{name}\") when 'text' then cast(?1 as text) else ?1 end"
            statement = f'update "{table}" set "{name}" = {kept} where {place} = ?2'
            connection.execute(statement, (mask(people.in_data, cell), key))


def _in_free_pages(path: Path, people: People) -> int:
    files = [file for file in (path, path.with_name(path.name + "-wal")) if file.exists()]
    return sum(len(people.in_bytes.findall(file.read_bytes())) for file in files)


def _conditions(connection: duckdb.DuckDBPyConnection, people: People) -> Iterator[tuple[Column, str]]:
    """Yield each column of text of each table with the condition that it names one of the users."""
    columns = connection.execute(
        "select table_schema, table_name, column_name from information_schema.columns join information_schema.tables "
        "using (table_catalog, table_schema, table_name) where table_type = 'BASE TABLE' and data_type = 'VARCHAR' "
        "order by all"
    ).fetchall()
    ids = ", ".join(_literal(user_id) for user_id in sorted(people.ids))
    for schema, table, name in sorted(columns, key=lambda column: column[2] != OWNER):
        key = f'"{schema}"."{table}"', f'"{name}"'
        if name == OWNER:
            yield key, f'"{name}" in ({ids})'
        elif people.in_cells and not names_items(name):
            yield key, f'regexp_matches("{name}", {_literal(people.in_cells)})'


def _removal(key: Column, condition: str, people: People) -> str:
    """Return the statement that deletes the users' rows or, where others mention them, makes the words illegible."""
    table, name = key
    if name == f'"{OWNER}"':
        return f"delete from {table} where {condition}"
    masked = f"regexp_replace({name}, {_literal(people.in_cells)}, '\\1{MASK * 3}\\2', 'g')"
    return f"update {table} set {name} = {masked} where {condition}"


def _count(connection: duckdb.DuckDBPyConnection, key: Column, condition: str) -> int:
    return int(connection.execute(f"select count(*) from {key[0]} where {condition}").fetchall()[0][0])


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
