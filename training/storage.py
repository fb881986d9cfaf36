"""Write files and folders whole or not at all, and list partitions.

Local paths are used throughout; temporary names start with a dot, so no reader's glob ever matches them.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from training.contracts.columns import Kind, Table
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition

PART = "part-0.parquet"
_TYPES: dict[Kind, pa.DataType] = {
    "string": pa.string(),
    "double": pa.float64(),
    "float": pa.float32(),
    "bigint": pa.int64(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "strings": pa.list_(pa.string()),
    "timestamps": pa.list_(pa.timestamp("us", tz="UTC")),
    "floats": pa.list_(pa.float32()),
}


def arrow_schema(table: Table) -> pa.Schema:
    """Return the Arrow schema of a contract table, nullability included."""
    return pa.schema([pa.field(c.name, _TYPES[c.kind], nullable=c.nullable) for c in table.columns])


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` in one step on success and vanishes on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        yield temporary
        _fsync(temporary)
        temporary.replace(path)
        _fsync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_dir(target: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `target` in one step on success and vanishes on failure.

    For immutable artefacts whose name contains a hash of their content: an existing `target` is kept.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    temporary.mkdir()
    try:
        yield temporary
        for path in sorted(temporary.rglob("*")):
            _fsync(path)
        _fsync(temporary)
        if not target.exists():
            temporary.rename(target)
            _fsync(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_parquet(table: pa.Table, path: Path, *, repetitive: list[str] | bool = True) -> None:
    """Write one Parquet file atomically; equal tables give equal bytes.

    Args:
        table: The rows.
        path: The file.
        repetitive: Columns in which values recur; all unless named. Others cost space and time as such.
    """
    with replace_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=131_072, use_dictionary=repetitive)


def write_json(value: Any, path: Path) -> None:
    """Write one JSON file atomically, keys sorted."""
    with replace_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path` for the block; another process that wants it waits. A crash lets it go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def list_partitions(folder: Path) -> list[Partition]:
    """Return the partitions `dt=YYYY-MM-DD` below `folder` that hold at least one file, oldest first."""
    found = []
    for child in folder.glob("dt=*"):
        try:
            partition = Partition.parse(child.name.removeprefix("dt="))
        except AttuneError:
            continue
        if any(not name.startswith(".") for name in os.listdir(child)):
            found.append(partition)
    return sorted(found)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
