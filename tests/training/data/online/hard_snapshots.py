"""Snapshots of every feature view whose rows are as hard to encode as their columns allow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa

from tests.training.data.landed_logs import at
from training.contracts.columns import EVENT_TIMESTAMP, Kind, Table
from training.storage import arrow_schema

AS_OF = at("2026-01-02")
OTHER_AS_OF = at("2026-01-02T03:04:05.678901")
HARD_VALUES: dict[Kind, list[Any]] = {
    "string": ["FI", "", "ä€😀", "x" * 300, "null", " 'quoted\" \r\n$3\r\n", "unknown"],
    "double": [0.5, 0.0, -0.0, 1e300, float("inf"), float("nan"), 0.1],
    "bigint": [1, 0, -1, 127, 128, 2**53 + 1, -(2**63)],
    "strings": [["i0"], [], [""], ["ä", "b" * 200], ["i1", "i1"], [f"i{n}" for n in range(200)], ["\n"]],
    "timestamps": [
        [AS_OF],
        [],
        [at("1970-01-01")],
        [at("1969-12-31T23:59:59.5"), OTHER_AS_OF],
        [at("1960-02-29T00:00:00.25")],
        [AS_OF] * 200,
        [at("2200-01-01T00:00:00.999999")],
    ],
    "floats": [[0.25, -1.0], [], [float("nan")], [1e-45, 3e38], [float("inf"), -0.0], [0.1] * 120, [0.5]],
}
"""Seven values of each kind."""
KEYS = ("u0", "", "käyttäjä", "k" * 300, "10", "9", "a b")


def hard_snapshot(table: Table, shift: int = 0, times: tuple[datetime, ...] = (AS_OF, OTHER_AS_OF)) -> pa.Table:
    """Return one row per key; the values of each column are moved on by its place and by `shift`."""
    rows = []
    for n, key in enumerate(KEYS):
        row = {one.name: HARD_VALUES[one.kind][(n + place + shift) % 7] for place, one in values_of(table)}
        keys = {name: key if name in ("user_id", "item_id") else "20260101-aaaaaaaa" for name in table.key}
        rows.append({**row, **keys, EVENT_TIMESTAMP: times[n % len(times)]})
    return pa.Table.from_pylist(rows, schema=arrow_schema(table))


def values_of(table: Table) -> Iterator[tuple[int, Any]]:
    keys = (*table.key, EVENT_TIMESTAMP)
    return ((place, one) for place, one in enumerate(table.columns) if one.name not in keys)


def blocks_of(snapshot: pa.Table, rows: int = 3) -> list[pa.RecordBatch]:
    """Return the snapshot in blocks, of which the later ones are slices that do not start at their buffers' start."""
    return list(snapshot.to_batches(max_chunksize=rows))
