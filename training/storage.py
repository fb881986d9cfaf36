"""Write files and folders whole or not at all, and list partitions.

Local paths are used throughout; temporary names start with a dot, so no reader's glob ever matches them.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from training.contracts.columns import Kind, Table
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition

logger = logging.getLogger(__name__)

PART = "part-0.parquet"
LEFTOVER_AGE_S = 3600.0
"""Age from which a temporary name that no process holds is taken for what a killed one left."""
LOCK_TIMEOUT_S = 7200.0
_LEFTOVER = re.compile(r"\.(.+\.[0-9a-f]{8}|draft\..+)")
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
    """Yield a temporary path that replaces `path` in one step on success and vanishes on failure.

    What a killed process left of this very file is removed first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, of=path.name)
    temporary = _temporary(path)
    try:
        with naming(path):
            yield temporary
            _fsync(temporary)
            temporary.replace(path)
            _fsync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_dir(target: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `target` in one step on success and vanishes on failure.

    For immutable artefacts whose name contains a hash of their content: an existing `target` is kept. What a killed
    process left beside it is removed first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target.parent)
    temporary = _temporary(target)
    temporary.mkdir()
    held = os.open(temporary, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)
    try:
        with naming(target):
            yield temporary
            for path in sorted(temporary.rglob("*")):
                _fsync(path)
            _fsync(temporary)
            if not target.exists():
                temporary.rename(target)
                _fsync(target.parent)
    finally:
        os.close(held)
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the disk name `path` where it names no file, as those of a full disk do not while writing."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from error


def folders(parent: Path) -> list[Path]:
    """Return the folders below `parent` by name; temporary ones, whose names start with a dot, are no folders yet."""
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if not path.name.startswith(".") and path.is_dir())


def sweep(parent: Path, older_than_s: float = LEFTOVER_AGE_S, of: str = "") -> list[str]:
    """Remove the temporary files and folders in `parent` that a killed process left, and return their names.

    One that is younger, or a folder that a living process holds, is another's work and stays.

    Args:
        parent: The folder.
        older_than_s: Age from which one that nobody holds is taken for left.
        of: The file or folder that was to be; any unless named. Where a file is written for somebody, other hidden
            names are theirs.
    """
    pattern = re.compile(rf"\.{re.escape(of)}\.[0-9a-f]{{8}}") if of else _LEFTOVER
    removed = []
    for entry in list(os.scandir(parent)) if parent.is_dir() else ():
        if pattern.fullmatch(entry.name) and _abandoned(entry, older_than_s):
            _remove(Path(entry.path))
            removed.append(entry.name)
    if removed:
        logger.info("removed %d leftovers of killed processes in %s", len(removed), parent)
    return removed


def write_parquet(table: pa.Table, path: Path, *, repetitive: list[str] | bool = True) -> None:
    """Write one Parquet file atomically; equal tables give equal bytes.

    Args:
        table: The rows.
        path: The file.
        repetitive: Columns in which values recur; all unless named. Others cost space and time as such.
    """
    with replace_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=131_072, use_dictionary=repetitive)


def open_parquet(path: Path) -> pq.ParquetFile:
    """Return an open Parquet file.

    Raises:
        AttuneError: It is cut short, or none.
    """
    try:
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise AttuneError(
            f"expected a whole Parquet file at {path}, found: {str(error).splitlines()[0]}; remove it and run the job "
            "that writes it again"
        ) from error


def write_json(value: Any, path: Path) -> None:
    """Write one JSON file atomically, keys sorted."""
    with replace_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


@contextmanager
def exclusive(path: Path, *, shared: bool = False, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Hold the lock file `path` for the block; another process that wants it waits. A crash lets it go.

    Whoever waits longer than a second says so once, naming the holder; `shared` holders only keep exclusive ones out.

    Raises:
        AttuneError: The lock was not let go within `timeout_s`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        wait_for(lambda: try_lock(file, kind), f"lock {path}", lambda: _holder(path), timeout_s)
        if not shared:
            _sign(file)
        yield


def wait_for(take: Callable[[], bool], what: str, holder: Callable[[], str], timeout_s: float) -> None:
    """Call `take` until it returns true, and say after a second what is waited for and who holds it.

    Raises:
        AttuneError: It was not taken within `timeout_s`.
    """
    started, told, pause = time.monotonic(), False, 0.01
    while not take():
        waited = time.monotonic() - started
        if waited >= timeout_s:
            raise AttuneError(
                f"expected {what} to be let go within {timeout_s:g} s, found it held by {holder()}; "
                "let that job end, or end its process, and run this again"
            )
        if waited >= 1 and not told:
            logger.warning("waiting for %s, held by %s", what, holder())
            told = True
        time.sleep(min(pause, max(timeout_s - waited, 0.0)))
        pause = min(2 * pause, 0.25)


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


def try_lock(file: IO[Any] | int, kind: int = fcntl.LOCK_EX) -> bool:
    """Return whether the lock of an open file was taken; closing the file lets it go.

    Args:
        file: The file, or its descriptor.
        kind: `fcntl.LOCK_EX` or `fcntl.LOCK_SH`.
    """
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(file: IO[bytes]) -> None:
    """Leave in a lock file who holds it, for those who wait; on a full disk the lock is held without a name."""
    with suppress(OSError):
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())


def _holder(path: Path) -> str:
    since = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return f"{path.read_text(encoding='utf-8').strip() or 'a reader'} since {since:%Y-%m-%d %H:%M:%S} UTC"


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")


def _abandoned(entry: os.DirEntry[str], older_than_s: float) -> bool:
    try:
        if time.time() - entry.stat(follow_symlinks=False).st_mtime < older_than_s:
            return False
        descriptor = os.open(entry.path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return try_lock(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
