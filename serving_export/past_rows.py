"""Read a file of users at moments, a block at a time: Parquet, or CSV with a line of names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from training.contracts.errors import AttuneError

ROWS_AT_ONCE = 10_000
COLUMNS = ("user_id", "as_of")


def read_rows(path: Path) -> Iterator[tuple[list[str], list[datetime]]]:
    """Yield users and their moments.

    Args:
        path: A file with the columns `user_id` and `as_of`; one that ends in `.parquet`, else it is CSV. A moment is
            ISO 8601, as text or as a timestamp; a day means its first instant, and what names no zone is UTC.

    Raises:
        AttuneError: There is no such file, it lacks a column, or a value is null or no moment.
    """
    try:
        for block in _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path):
            yield _users(block["user_id"], path), _moments(block["as_of"], path)
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise AttuneError(
            f"expected a file with the columns {' and '.join(COLUMNS)}, found {error} at {path}; check --rows"
        ) from error


def moment(text: str) -> datetime:
    """Return the UTC moment that a text in ISO 8601 names.

    Raises:
        ValueError: It names none.
    """
    return in_utc(datetime.fromisoformat(text.strip()))


def in_utc(at: datetime) -> datetime:
    """Return a moment in UTC; one without a zone is taken for UTC.

    Raises:
        ValueError: In UTC it lies beyond the first or the last year.
    """
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"expected a moment within the years 1 to 9999 in UTC, found {at.isoformat()}") from error


def _parquet(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        missing = [name for name in COLUMNS if name not in file.schema_arrow.names]
        if missing:
            raise KeyError(f"no {missing[0]}")
        yield from file.iter_batches(batch_size=ROWS_AT_ONCE, columns=list(COLUMNS))


def _csv(path: Path) -> Iterator[pa.RecordBatch]:
    texts = csv.ConvertOptions(column_types={name: pa.string() for name in COLUMNS}, include_columns=list(COLUMNS))
    with csv.open_csv(path, convert_options=texts) as reader:
        for batch in reader:
            for start in range(0, len(batch), ROWS_AT_ONCE):
                yield batch.slice(start, ROWS_AT_ONCE)


def _users(column: pa.Array, path: Path) -> list[str]:
    _require_whole(column, path, "user_id")
    return [str(user) for user in column.to_pylist()]


def _moments(column: pa.Array, path: Path) -> list[datetime]:
    """Return each row's moment; each distinct value is read once."""
    _require_whole(column, path, "as_of")
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        zone = getattr(column.type, "tz", None)
        utc = column.cast(pa.timestamp("us", tz="UTC") if zone else pa.timestamp("us"))
        return [in_utc(at) for at in utc.to_pylist()]
    distinct = column.dictionary_encode()
    read = [_read(text, path) for text in distinct.dictionary.to_pylist()]
    return [read[index] for index in distinct.indices.to_pylist()]


def _read(text: str, path: Path) -> datetime:
    try:
        return moment(text)
    except ValueError as error:
        raise AttuneError(f"expected as_of as a day or a moment in ISO 8601, found {text!r} at {path}") from error


def _require_whole(column: Iterable[object], path: Path, name: str) -> None:
    if getattr(column, "null_count", 0):
        raise AttuneError(f"expected {name} in every row, found a null at {path}; leave such rows out")
