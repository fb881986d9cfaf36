"""Read one source file into an Arrow table, or say in one line why it cannot be read."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from training.contracts.errors import AttuneError, MissingArtefact

logger = logging.getLogger(__name__)
PARQUET = (".parquet", ".pq")
JSON_LINES = (".jsonl", ".ndjson", ".json")
TEXT = (".csv", ".tsv", ".txt")
_DELIMITERS = ("\t", ";", "|", ",")
_CELL = "\x1f"


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
        raise AttuneError(f"expected a whole Parquet file at {path}, found {_first_line(error)}; {remedy}") from error


def read_table(path: Path, delimiter: str | None = None) -> pa.Table:
    """Return the rows of a CSV (with header), Parquet or JSON Lines file, text columns as text.

    Raises:
        AttuneError: The file is missing, empty, has no rows, or does not parse; the message names file and row.
    """
    suffix = next((s for s in reversed(path.suffixes) if s != ".gz"), "")
    if suffix in PARQUET:
        table = read_parquet(path)
    elif suffix in JSON_LINES:
        table = _parse(path, lambda: pa_json.read_json(require_file(path, "give a file with rows")))
    elif suffix in TEXT:
        table = read_csv(path, delimiter)
    else:
        raise AttuneError(f"expected .csv, .tsv, .parquet or .jsonl, found {path}; convert the file first")
    return require_rows(table, path)


def require_rows(table: pa.Table, path: Path) -> pa.Table:
    """Return `table` if it has rows.

    Raises:
        AttuneError: It has none.
    """
    if table.num_rows == 0:
        raise AttuneError(f"expected rows in {path}, found only a header; give a file with rows")
    return table


def read_separated(path: Path, separator: str, names: Sequence[str], encoding: str = "utf-8") -> pa.Table:
    """Return the rows of a file without header as text columns; `separator` may be several characters.

    Raises:
        AttuneError: The file is missing, empty, or a row has another number of cells.
    """
    raw = require_file(path, "give the whole data set").read_bytes()
    text = raw.decode(encoding, errors="replace")
    data = text.replace(separator, _CELL) if len(separator) > 1 else text
    cell = _CELL if len(separator) > 1 else separator
    return _parse(path, lambda: _csv(io.BytesIO(data.encode()), cell, list(names), names, False))


def read_csv(path: Path, delimiter: str | None = None, quoted: bool = True) -> pa.Table:
    """Return the text columns of a file with a header; without a delimiter the header's most frequent one is taken.

    Raises:
        AttuneError: The file is missing, empty, has no rows, or does not parse.
    """
    require_file(path, "give a file with rows")
    with pa.input_stream(str(path), compression="detect") as stream:
        header = stream.read(65536).decode("utf-8", errors="replace").splitlines()[0]
    cell = delimiter or max(_DELIMITERS, key=header.count)
    names = [name.strip().strip('"').lstrip("\ufeff") for name in header.split(cell)]
    return require_rows(_parse(path, lambda: _csv(str(path), cell, None, names, quoted)), path)


def _csv(
    source: str | io.BytesIO, delimiter: str, header: list[str] | None, names: Sequence[str], quoted: bool
) -> pa.Table:
    return pa_csv.read_csv(
        source,
        read_options=pa_csv.ReadOptions(column_names=header, use_threads=False),
        parse_options=pa_csv.ParseOptions(delimiter=delimiter, quote_char='"' if quoted else False),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: pa.string() for name in names}, null_values=[""], strings_can_be_null=True
        ),
    )


def _parse(path: Path, read: Callable[[], pa.Table]) -> pa.Table:
    try:
        return read()
    except (pa.ArrowException, OSError) as error:
        raise AttuneError(
            f"expected one row a line in {path}, found {_first_line(error)}; correct that row, or remove it"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
