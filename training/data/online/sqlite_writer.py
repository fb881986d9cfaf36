"""Write snapshots to Feast's SQLite online store, each in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa

from training.contracts.columns import EVENT_TIMESTAMP, Table
from training.contracts.errors import AttuneError, MissingArtefact
from training.data.online.blocks import ONLINE_TABLES, block_keys, by_time, contract_columns, features, slot_prefix
from training.data.online.feast_bytes import TEXT_KINDS, as_list, sqlite_timestamp, value_protos, value_texts

_WAIT_SECONDS = 60.0
"""How long another writer may hold the file."""
_CACHE_KIB = 65_536


class SqliteWriter:
    """One row per entity key and feature, as Feast's `SqliteOnlineStore` writes them.

    The file keeps a write-ahead log from the first write on: readers, Feast's among them, go on reading the old
    snapshot until the new one is there as a whole.
    """

    def __init__(self, path: str, project: str) -> None:
        self._path = Path(path)
        self._project = project

    def write(self, view: str, blocks: Iterable[pa.RecordBatch]) -> int:
        """Serve the rows of every block; a failure leaves what was served before, whole.

        Raises:
            MissingArtefact: The view is not declared to this store.
            AttuneError: Another writer holds the file for too long.
        """
        table = ONLINE_TABLES[view]
        rows = 0
        with self._transaction(view) as connection:
            statement = _upsert(self._table_name(view), table)
            for block in blocks:
                connection.executemany(statement, _rows(table, block))
                rows += len(block)
        return rows

    def delete_keys(self, view: str, keys: Iterable[pa.RecordBatch]) -> int:
        """Delete the view's rows of the keys and overwrite their bytes in the file."""
        table = ONLINE_TABLES[view]
        deleted = 0
        with self._transaction(view) as connection:
            for block in keys:
                of_keys = ((key,) for key in as_list(block_keys(table, block)))
                connection.executemany(f"DELETE FROM {self._table_name(view)} WHERE entity_key = ?", of_keys)
                deleted += len(block)
        return deleted

    def num_served(self, view: str, keys: Iterable[pa.RecordBatch]) -> int:
        """Return for how many of some keys the view has rows; none where it is not declared to this store."""
        if not self._declared(view):
            return 0
        table, name = ONLINE_TABLES[view], self._table_name(view)
        query = f"SELECT COUNT(DISTINCT entity_key) FROM {name} WHERE entity_key = ?"
        with closing(sqlite3.connect(self._path, timeout=_WAIT_SECONDS)) as connection:
            of_keys = (key for block in keys for key in as_list(block_keys(table, block)))
            return sum(int(connection.execute(query, (key,)).fetchone()[0]) for key in of_keys)

    def keep_only(self, view: str, slot: str, kept: Iterable[pa.RecordBatch]) -> int:
        """Delete the rows of a slot whose keys `kept` does not hold, all in one transaction."""
        if not self._declared(view):
            return 0
        table, name = ONLINE_TABLES[view], self._table_name(view)
        keys = {key for block in kept for key in as_list(block_keys(table, block))}
        prefix = slot_prefix(table, slot)
        stored = f"SELECT entity_key FROM {name} WHERE feature_name = ? AND entity_key >= ? AND entity_key < ?"
        with self._transaction(view) as connection:
            found = connection.execute(stored, (features(table)[0].name, prefix, _after(prefix)))
            absent = [(key,) for (key,) in found if key not in keys]
            connection.executemany(f"DELETE FROM {name} WHERE entity_key = ?", absent)
        return len(absent)

    def _table_name(self, view: str) -> str:
        return f'"{self._project}_{view}"'

    @contextmanager
    def _transaction(self, view: str) -> Iterator[sqlite3.Connection]:
        if not self._declared(view):
            raise MissingArtefact(
                f"expected feature view {view} in the online store {self._path}, found none; "
                f"run materialise_features, which declares every view"
            )
        with closing(sqlite3.connect(self._path, timeout=_WAIT_SECONDS, isolation_level=None)) as connection:
            self._begin(connection)
            with connection:
                yield connection
            # Nothing of what was replaced or deleted stays in the log; a reader that is in the way only delays it.
            connection.execute("PRAGMA busy_timeout = 1000")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _begin(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA secure_delete = ON")
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise AttuneError(
                f"expected to write {self._path} within {_WAIT_SECONDS:g} s, found {error}; let the other writer end"
            ) from error

    def _declared(self, view: str) -> bool:
        if not self._path.exists():
            return False
        with closing(sqlite3.connect(self._path, timeout=_WAIT_SECONDS)) as connection:
            known = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
            return connection.execute(known, (f"{self._project}_{view}",)).fetchone() is not None


def _after(prefix: bytes) -> bytes:
    """Return the least key that is after every key with this prefix."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1])


def _upsert(table_name: str, table: Table) -> str:
    """Return the statement that takes a whole row of the view: key, time, then each feature's value and text if any."""
    places = count(3)
    rows = ", ".join(
        f"(?1, '{one.name}', ?{next(places)}, {f'?{next(places)}' if one.kind in TEXT_KINDS else 'NULL'}, ?2, NULL)"
        for one in features(table)
    )
    replaced = ", ".join(f"{name} = excluded.{name}" for name in ("value", "value_text", "event_ts", "created_ts"))
    return (
        f"INSERT INTO {table_name} (entity_key, feature_name, value, value_text, event_ts, created_ts) VALUES {rows} "
        f"ON CONFLICT (entity_key, feature_name) DO UPDATE SET {replaced}"
    )


def _rows(table: Table, block: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    columns = contract_columns(table, block, table.column_names)
    times = by_time(columns[EVENT_TIMESTAMP], sqlite_timestamp)
    values: list[Iterable[Any]] = []
    for one in features(table):
        values.append(_blobs(value_protos(columns[one.name], one.kind)))
        if one.kind in TEXT_KINDS:
            values.append(value_texts(columns[one.name], one.kind))
    return zip(_blobs(block_keys(table, block)), times, *values, strict=True)


def _blobs(column: pa.BinaryArray) -> Iterator[bytearray]:
    """Return what `sqlite3` binds at once; for every `bytes` it looks for an adapter first, a fifth of the time."""
    return map(bytearray, as_list(column))
