"""Write snapshots to Feast's Redis online store, a block of commands at a time.

Arrow lays the commands out for the wire, a column at a time, and redis-py's connection sends them: its own packing of
Python lists takes five times the client's CPU.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.compute as pc
from redis import Redis

from training.contracts.columns import EVENT_TIMESTAMP, Table
from training.data.online.blocks import ONLINE_TABLES, block_keys, by_time, contract_columns, features, slot_prefix
from training.data.online.feast_bytes import (
    as_list,
    end_to_end,
    hash_field,
    join,
    timestamp_field,
    timestamp_proto,
    value_protos,
)

_AT_ONCE = 10_000
COMMA = r"\u002c"
"""A comma as JSON may spell it."""


class RedisWriter:
    """One hash per entity key with a field per feature and one for the time, as Feast's `RedisOnlineStore` writes them.

    Views that share a key share its hash. Nothing expires: the store has no time to live.
    """

    def __init__(self, connection_string: str, project: str) -> None:
        self._arguments = connection_arguments(connection_string)
        self._project = project.encode()

    def write(self, view: str, blocks: Iterable[pa.RecordBatch]) -> int:
        """Serve the rows of every block; a failure leaves the blocks before it served.

        Raises:
            redis.RedisError: The server cannot be reached, or refuses a command.
        """
        table = ONLINE_TABLES[view]
        return self._send(_set_commands(table, block, self._keys(table, block)) for block in blocks)

    def delete_keys(self, view: str, keys: Iterable[pa.RecordBatch]) -> int:
        """Delete the view's fields of the keys; a hash without fields of other views goes with them."""
        table = ONLINE_TABLES[view]
        return self._send(_delete_commands(table, self._keys(table, block)) for block in keys)

    def num_served(self, view: str, keys: Iterable[pa.RecordBatch]) -> int:
        """Return for how many of some keys a hash holds the view's time."""
        table, served = ONLINE_TABLES[view], 0
        with Redis(**self._arguments) as client, client.pipeline(transaction=False) as pipe:
            for block in keys:
                for key in as_list(self._keys(table, block)):
                    pipe.hexists(key, timestamp_field(table.name))
                served += sum(map(int, pipe.execute()))
        return served

    def keep_only(self, view: str, slot: str, kept: Iterable[pa.RecordBatch]) -> int:
        """Delete the view's fields of the keys of a slot that `kept` does not hold."""
        table = ONLINE_TABLES[view]
        keys = {key for block in kept for key in as_list(self._keys(table, block))}
        fields = _fields(table)
        removed = 0
        with Redis(**self._arguments) as client:
            stored = client.scan_iter(_escaped(slot_prefix(table, slot)) + b"*" + self._project, count=_AT_ONCE)
            absent = (key for key in stored if key not in keys)
            while some := list(islice(absent, _AT_ONCE)):
                with client.pipeline(transaction=False) as pipe:
                    for key in some:
                        pipe.hdel(key, *fields)
                    removed += sum(number > 0 for number in pipe.execute())
        return removed

    def _keys(self, table: Table, block: pa.RecordBatch) -> pa.BinaryArray:
        return join(block_keys(table, block), self._project)

    def _send(self, blocks: Iterable[pa.BinaryArray]) -> int:
        """Send each block of commands and read its replies before the next; return how many commands there were."""
        sent = 0
        with Redis(**self._arguments) as client, _connection(client) as connection:
            for commands in blocks:
                connection.send_packed_command([end_to_end(commands)])
                for _ in range(len(commands)):
                    connection.read_response()
                sent += len(commands)
        return sent


def connection_string(url: str) -> str:
    """Return Feast's connection string of "redis://user:password@host:port/db", of which host alone must be there.

    Feast splits it at commas and reads values as JSON, so that a bare password of digits would become a number.
    """
    parts = urlsplit(url)
    options = {"username": parts.username, "password": parts.password, "db": parts.path.strip("/")}
    given = {name: unquote(value) for name, value in options.items() if value}
    texts = [f"{name}={json.dumps(value).replace(',', COMMA)}" for name, value in given.items()]
    return ",".join([parts.netloc.rpartition("@")[2], *texts])


def connection_arguments(connection_string: str) -> dict[str, Any]:
    """Return redis-py's arguments of Feast's connection string, e.g. "host:6379,db=1,password=...,ssl=true"."""
    address, *options = connection_string.split(",")
    host, _, port = address.partition(":")
    arguments: dict[str, Any] = {"host": host, "port": int(port or 6379)}
    for option in options:
        name, _, text = option.partition("=")
        try:
            arguments[name] = json.loads(text)
        except json.JSONDecodeError:
            arguments[name] = text
    return arguments


@contextmanager
def _connection(client: Redis) -> Iterator[Any]:
    """Yield a connection that is closed after a failure: replies to what was sent may still be on their way."""
    connection: Any = client.connection_pool.get_connection()
    try:
        yield connection
    except BaseException:
        connection.disconnect()
        raise
    finally:
        client.connection_pool.release(connection)


def _set_commands(table: Table, block: pa.RecordBatch, keys: pa.BinaryArray) -> pa.BinaryArray:
    columns = contract_columns(table, block, table.column_names)
    times = pa.array(by_time(columns[EVENT_TIMESTAMP], timestamp_proto), pa.binary())
    parts: list[pa.Array | bytes] = [timestamp_field(table.name), times]
    for one in features(table):
        parts += [hash_field(table.name, one.name), value_protos(columns[one.name], one.kind)]
    return _commands(b"HSET", keys, *parts)


def _delete_commands(table: Table, keys: pa.BinaryArray) -> pa.BinaryArray:
    return _commands(b"HDEL", keys, *_fields(table))


def _fields(table: Table) -> list[bytes]:
    """Return the fields of a hash that belong to a view."""
    return [timestamp_field(table.name), *(hash_field(table.name, one.name) for one in features(table))]


def _escaped(prefix: bytes) -> bytes:
    """Return a pattern that stands for these very bytes."""
    return b"".join(b"\\" + bytes([byte]) if byte in b"*?[]\\^" else bytes([byte]) for byte in prefix)


def _commands(*words: pa.Array | bytes) -> pa.BinaryArray:
    """Return one command per row in the Redis protocol; a word that is bytes is the same in every row."""
    return join(b"*%d\r\n" % len(words), *(part for word in words for part in _word(word)))


def _word(word: pa.Array | bytes) -> list[pa.Array | bytes]:
    if isinstance(word, bytes):
        return [b"$%d\r\n%s\r\n" % (len(word), word)]
    return [b"$", pc.binary_length(word).cast(pa.string()).cast(pa.binary()), b"\r\n", word, b"\r\n"]
