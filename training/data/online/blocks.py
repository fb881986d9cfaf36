"""Read blocks of a snapshot as the contract's columns, and give each row its Feast entity key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

import pyarrow as pa

from training.contracts.columns import (
    DBT_FEATURES,
    EVENT_TIMESTAMP,
    POOLED_FEATURES,
    USER_EMBEDDING,
    Column,
    Table,
)
from training.contracts.errors import AttuneError
from training.data.online.feast_bytes import entity_key_prefix, entity_keys
from training.data.online.guard import WHOLE_VIEW
from training.storage import arrow_schema

T = TypeVar("T")
ONLINE_TABLES = {**DBT_FEATURES, **POOLED_FEATURES, USER_EMBEDDING.name: USER_EMBEDDING}
"""The contract table of every feature view, in the order in which views are materialised."""


def features(table: Table) -> tuple[Column, ...]:
    """Return the columns that Feast serves: neither keys nor the timestamp."""
    return tuple(column for column in table.columns if column.name not in (*table.key, EVENT_TIMESTAMP))


def block_keys(table: Table, block: pa.RecordBatch) -> pa.BinaryArray:
    """Return the entity key of each row of a block that holds at least the table's key."""
    return entity_keys(table.key, list(contract_columns(table, block, table.key).values()))


def slot_prefix(table: Table, slot: str) -> bytes:
    """Return what the entity keys of a slot begin with; the (item) space's name sorts before its owner's."""
    return entity_key_prefix(table.key, slot if slot != WHOLE_VIEW else None)


def contract_columns(table: Table, block: pa.RecordBatch, names: Sequence[str]) -> dict[str, pa.Array]:
    """Return columns of a block in the contract's types.

    Raises:
        AttuneError: One is missing, or a key or timestamp is null.
    """
    schema = arrow_schema(table)
    columns = {}
    for name in names:
        if name not in block.schema.names:
            raise AttuneError(f"expected column {name} in the snapshot of {table.name}, found {block.schema.names}")
        columns[name] = block.column(name).cast(schema.field(name).type)
        nulls = columns[name].null_count
        if nulls and name in (*table.key, EVENT_TIMESTAMP):
            raise AttuneError(f"expected {name} in every row of the snapshot of {table.name}, found {nulls} nulls")
    return columns


def by_time(column: pa.Array, encode: Callable[[datetime], T]) -> list[T]:
    """Return `encode` of each row's timestamp, called once per distinct one: a snapshot has one or few."""
    distinct = column.dictionary_encode()
    encoded = [encode(at) for at in distinct.dictionary.to_pylist()]
    return [encoded[index] for index in distinct.indices.to_pylist()]
