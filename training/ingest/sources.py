"""Find source files and open Parquet, or say in one line why a file cannot be read."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from training.contracts.errors import AttuneError, MissingArtefact

PARQUET = (".parquet", ".pq")
JSON_LINES = (".jsonl", ".ndjson", ".json")
COMPRESSED = (".gz", ".zst", ".bz2", ".xz", ".zip")
GUESSED = (".csv", ".tsv", ".txt", ".tab", ".psv", *PARQUET, *JSON_LINES)
"""Endings of files that are read without being named."""


def require_file(path: Path, remedy: str) -> Path:
    """Return `path` if it is a file with content.

    Raises:
        MissingArtefact: There is no such file.
        AttuneError: The file has no bytes.
    """
    if not path.is_file():
        raise MissingArtefact(f"expected a file at {path}, found none; {remedy}")
    if path.stat().st_size == 0:
        raise AttuneError(f"expected rows in {path}, found an empty file (0 bytes); {remedy}")
    return path


def read_parquet(path: Path, remedy: str = "write the file again, whole") -> pa.Table:
    """Return a Parquet file's columns; the folder's `dt=` adds none.

    Raises:
        AttuneError: The file is missing, empty, truncated, or not Parquet.
    """
    require_file(path, remedy)
    try:
        return pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise _not_whole(path, error, remedy) from error


def require_parquet(path: Path) -> Path:
    """Return `path` if it is a Parquet file with rows.

    Raises:
        AttuneError: It is missing, empty, truncated, not Parquet, or has no rows.
    """
    remedy = "write the file again, whole"
    try:
        num_rows = pq.read_metadata(require_file(path, remedy)).num_rows
    except (pa.ArrowException, OSError) as error:
        raise _not_whole(path, error, remedy) from error
    if num_rows == 0:
        raise AttuneError(f"expected rows in {path}, found none; give a file with rows")
    return path


def kind_of(path: Path) -> str:
    """Return how a file is read, by its name: "parquet", "json" or "text"; of another name it is "text".

    Raises:
        AttuneError: The name says that it is something else, such as a spreadsheet.
    """
    name = path.name.lower()
    for ending in COMPRESSED:
        name = name.removesuffix(ending)
    if name.endswith(PARQUET):
        return "parquet"
    if name.endswith(JSON_LINES):
        return "json"
    if name.endswith((".xlsx", ".xls", ".avro", ".orc", ".db", ".sqlite", ".tar", ".rds", ".pkl", ".feather")):
        raise AttuneError(f"expected .csv, .tsv, .parquet or .jsonl, found {path}; convert the file first")
    return "text"


def is_guessed(path: Path) -> bool:
    """Return whether a file in a log's folder may hold a table that nobody named."""
    name = path.name.lower()
    for ending in COMPRESSED:
        name = name.removesuffix(ending)
    return path.is_file() and not name.startswith((".", "_")) and name.endswith(GUESSED)


def first_line(error: BaseException) -> str:
    """Return the first line of what a library says of a file, with single blanks, at most 200 characters."""
    return " ".join((str(error).splitlines() or [type(error).__name__])[0].split())[:200]


def _not_whole(path: Path, error: BaseException, remedy: str) -> AttuneError:
    return AttuneError(f"expected a whole Parquet file at {path}, found {first_line(error)}; {remedy}")
