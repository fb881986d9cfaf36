"""Make each file of a log readable as an SQL relation over its own columns, and count the lines that are no rows.

DuckDB reads: text with every cell as text, JSON by its fields, Parquet in its own types. Nothing is read into memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from training.contracts.errors import AttuneError
from training.ingest.column_map import TableMap
from training.ingest.dialects import Dialect, read_dialect
from training.ingest.expressions import identifier, literal
from training.ingest.reasons import LONG_LINE, NOT_UTF8, TOO_FEW_CELLS, TOO_MANY_CELLS, UNCLOSED_QUOTE
from training.ingest.sources import first_line, kind_of, require_parquet
from training.ingest.sql_conditions import columns_read, require_pure
from training.ingest.text_files import TextFile, open_text, read_head

_FAULTS = {
    "MISSING COLUMNS": TOO_FEW_CELLS,
    "TOO MANY COLUMNS": TOO_MANY_CELLS,
    "UNQUOTED VALUE": UNCLOSED_QUOTE,
    "INVALID ENCODING": NOT_UTF8,
    "LINE SIZE OVER MAXIMUM": LONG_LINE,
}
_LONGEST_LINE = 1 << 26
_BROKEN = "no JSON object"
_JSON_SAMPLE = 5000


@dataclass(frozen=True, kw_only=True)
class SourceTable:
    """One file of a log as an SQL relation.

    Attributes:
        path: The file.
        relation: SQL that may stand after `from`: its rows, in order, one column per source column.
        types: DuckDB type by source column, in the file's order; derived columns come last.
        repeated: Names that the file has more than once; only the first of each goes by the name.
        lists: Separator by column that holds several values.
        format: Kind, encoding, delimiter and quote, for the report.
        rejects: Table of the lines that are no rows, None where there can be none.
        broken: SQL that finds rows which are none, where the relation has such.
        kept: SQL that finds rows which the map's `where` keeps.
        consulted: Lower-case names of columns that the map's SQL looks at.
    """

    path: Path
    relation: str
    types: Mapping[str, str]
    repeated: frozenset[str] = frozenset()
    lists: Mapping[str, str] = field(default_factory=dict)
    format: Mapping[str, str] = field(default_factory=dict)
    rejects: str | None = None
    broken: str = "false"
    kept: str = "true"
    consulted: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RejectedLine:
    """A line that is no row, by its number in the file."""

    line: int
    reason: str
    text: str


def open_source(connection: duckdb.DuckDBPyConnection, folder: Path, path: Path, options: TableMap) -> SourceTable:
    """Return a file as a relation, with the derived columns, the order and the omissions of the map.

    Args:
        connection: Where the relation will be read.
        folder: For copies of files that DuckDB does not read as they are.
        path: The file.
        options: What the column map says of its table.

    Raises:
        MissingArtefact: There is no such file.
        AttuneError: It is empty, broken, or not what the map says.
    """
    kind = kind_of(path)
    if kind == "parquet":
        source = _parquet(connection, path)
    elif kind == "json":
        source = _json(connection, folder, path, options)
    else:
        source = _text(connection, folder, path, options)
    return _with_derived(connection, source, options)


def peek_columns(connection: duckdb.DuckDBPyConnection, path: Path, options: TableMap) -> tuple[str, ...]:
    """Return the names of a file's columns from its first part alone.

    Raises:
        AttuneError: It is empty, broken, or its first line names no columns.
    """
    kind = kind_of(path)
    if kind == "parquet":
        return tuple(_parquet(connection, path).types)
    head = read_head(path, options.encoding, "name its encoding in the column map")[0]
    if kind == "text":
        return read_dialect(head, path, options).columns
    first = head.strip().lstrip("[").strip()
    try:
        return tuple(name for name, _ in _json_fields(json.dumps(json.JSONDecoder().raw_decode(first)[0])))
    except json.JSONDecodeError as error:
        raise AttuneError(f"expected JSON objects in {path}, found {first_line(error)}") from error


def rejected_lines(connection: duckdb.DuckDBPyConnection, source: SourceTable) -> list[RejectedLine]:
    """Return the lines that are no rows, once the relation has been read; a quote left open takes its lines along."""
    if source.rejects is None:
        return []
    rows = connection.execute(
        f"select line, min(error_type), any_value(csv_line) from {source.rejects} group by line order by line"
    ).fetchall()
    found: list[RejectedLine] = []
    for line, fault, text in rows:
        parts = (text or "").rstrip("\n").split("\n") if fault == "UNQUOTED VALUE" else [text or ""]
        found += [RejectedLine(line + n, _FAULTS.get(fault, fault.lower()), part) for n, part in enumerate(parts)]
    return found


def _text(connection: duckdb.DuckDBPyConnection, folder: Path, path: Path, options: TableMap) -> SourceTable:
    remedy = f"name its encoding in the column map (COLUMNS=map.yaml): {options.table}: {{encoding: latin-1}}"
    file = open_text(path, folder, options.encoding, remedy)
    dialect = read_dialect(file.head, path, options)
    name = f"rejected_{len(connection.execute('show tables').fetchall())}_{abs(hash(path))}"
    quote, line_by_line = _quoting(connection, file, dialect, options, name)
    relation = _read_csv(file, dialect, "" if line_by_line else quote, options.escape, name)
    if line_by_line and quote:
        relation = f"(select {', '.join(_unquoted(column, quote) for column in dialect.columns)} from {relation})"
    return SourceTable(
        path=path,
        relation=relation,
        types=dict.fromkeys(dialect.columns, "VARCHAR"),
        repeated=dialect.repeated,
        lists={column: " " for column, kind in dialect.types.items() if kind.endswith("_seq")},
        format={"encoding": file.encoding, "delimiter": dialect.delimiter, "quote": quote or "none"},
        rejects=name,
    )


def _quoting(
    connection: duckdb.DuckDBPyConnection, file: TextFile, dialect: Dialect, options: TableMap, name: str
) -> tuple[str, bool]:
    """The quote character ("" for none), and whether each line is a row whatever quotes stand in it.

    Where every line has as many cells as the header without quotes being read, reading them could only lose rows: a
    stray one would swallow its neighbours. Then a pair around a cell is taken off afterwards.
    """
    quote = '"' if options.quote is None else options.quote
    if quote not in file.quotes and quote in ('"', "'", ""):
        return quote if quote in file.quotes else "", True
    if options.escape not in (None, quote):
        return quote, False
    plain = _num_rejected(connection, file, dialect, "", name + "_plain")
    if plain == 0:
        return quote, True
    if options.quote is None and plain <= _num_rejected(connection, file, dialect, quote, name + "_quoted"):
        return quote, True
    return quote, False


def _num_rejected(
    connection: duckdb.DuckDBPyConnection, file: TextFile, dialect: Dialect, quote: str, name: str
) -> int:
    connection.execute(f"select count(*) from {_read_csv(file, dialect, quote, None, name)}").fetchall()
    faults = "'MISSING COLUMNS', 'TOO MANY COLUMNS', 'UNQUOTED VALUE'"
    ((rejected,),) = connection.execute(
        f"select coalesce(sum(1 + if(error_type = 'UNQUOTED VALUE', length(csv_line) - length(replace(csv_line, "
        f"chr(10), '')), 0)), 0)::bigint from {name} where error_type in ({faults})"
    ).fetchall()
    return int(rejected)


def _read_csv(file: TextFile, dialect: Dialect, quote: str, escape: str | None, name: str) -> str:
    columns = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in dialect.columns)
    whole_lines = "" if not quote else f", parallel = false, buffer_size = {2 * _LONGEST_LINE}"
    return (
        f"read_csv({literal(str(file.readable))}, auto_detect = false, columns = {{{columns}}}, header = false, "
        f"skip = {dialect.skip}, delim = {literal(dialect.delimiter)}, quote = {literal(quote)}, "
        f"escape = {literal(quote if escape is None else escape)}, nullstr = '', max_line_size = {_LONGEST_LINE}, "
        f"compression = 'auto', store_rejects = true, rejects_table = {literal(name)}, "
        f"rejects_scan = {literal(name + '_scan')}, rejects_limit = 0{whole_lines})"
    )


def _unquoted(column: str, quote: str) -> str:
    cell, mark = identifier(column), literal(quote)
    inner = f"replace(substr(trim({cell}), 2, length(trim({cell})) - 2), {literal(quote * 2)}, {mark})"
    paired = f"{cell} like {literal('%' + quote + '%')} and length(trim({cell})) > 1 and trim({cell}) like "
    return f"if({paired}{literal(quote + '%' + quote)}, {inner}, {cell}) as {cell}"


def _json(connection: duckdb.DuckDBPyConnection, folder: Path, path: Path, options: TableMap) -> SourceTable:
    remedy = f"name its encoding in the column map (COLUMNS=map.yaml): {options.table}: {{encoding: latin-1}}"
    file = open_text(path, folder, options.encoding, remedy)
    form = _json_form(file.head)
    objects = (
        f"read_json_objects({literal(str(file.readable))}, format = '{form}', maximum_object_size = {_LONGEST_LINE}, "
        f"ignore_errors = {'true' if form == 'newline_delimited' else 'false'})"
    )
    try:
        rows = connection.execute(f"select json from {objects} limit {_JSON_SAMPLE}").fetchall()
    except duckdb.Error as error:
        raise AttuneError(f"expected JSON objects in {path}, found {first_line(error)}; write one a line") from error
    fields: dict[str, str] = {}
    for (text,) in rows:
        fields |= {name: path_ for name, path_ in _json_fields(text) if name not in fields}
    if not fields:
        raise AttuneError(f"expected JSON objects in {path}, found none in its first lines; write one a line")
    fields |= {name: f"$.{name}" for name in options.named.values() if name not in fields and name.isidentifier()}
    columns = ", ".join(f"json ->> {literal(where)} as {identifier(name)}" for name, where in fields.items())
    return SourceTable(
        path=path,
        relation=f"(select {columns}, json is null as {identifier(_BROKEN)} from {objects})",
        types=dict.fromkeys(fields, "VARCHAR"),
        format={"encoding": file.encoding, "form": f"JSON, {form.replace('_', ' ')}"},
        broken=identifier(_BROKEN),
    )


def _json_form(head: str) -> str:
    if head.lstrip().startswith("["):
        return "array"
    first = head.strip().split("\n")[0]
    try:
        json.loads(first)
    except json.JSONDecodeError:
        return "newline_delimited" if first.rstrip().endswith("}") else "unstructured"
    return "newline_delimited"


def _json_fields(text: str | None) -> list[tuple[str, str]]:
    """Names of an object's fields with their paths; those of an object inside it as `outer.inner`."""
    value: Any = json.loads(text) if text else None
    if not isinstance(value, dict):
        return []
    found = []
    for name, inner in value.items():
        if isinstance(inner, dict):
            found += [(f"{name}.{part}", f'$."{name}"."{part}"') for part in inner]
        else:
            found.append((name, f'$."{name}"'))
    return found


def _parquet(connection: duckdb.DuckDBPyConnection, path: Path) -> SourceTable:
    relation = f"read_parquet({literal(str(require_parquet(path)))}, hive_partitioning = false)"
    try:
        described = connection.execute(f"describe select * from {relation}").fetchall()
    except duckdb.Error as error:
        raise AttuneError(f"expected a whole Parquet file at {path}, found {first_line(error)}") from error
    types = {name: kind for name, kind, *_ in described}
    inner = {
        name: _struct_fields(connection, relation, name) for name, kind in types.items() if kind.startswith("STRUCT(")
    }
    flat = {name: kind for name, kind in types.items() if name not in inner}
    columns = [identifier(name) for name in flat]
    for name, parts in inner.items():
        columns += [f"{identifier(name)}.{identifier(part)} as {identifier(f'{name}.{part}')}" for part in parts]
        flat |= {f"{name}.{part}": kind for part, kind in parts.items()}
    return SourceTable(
        path=path,
        relation=f"(select {', '.join(columns)} from {relation})" if inner else relation,
        types=flat,
        format={"form": "Parquet"},
    )


def _struct_fields(connection: duckdb.DuckDBPyConnection, relation: str, name: str) -> dict[str, str]:
    described = connection.execute(f"describe select unnest({identifier(name)}) from {relation}").fetchall()
    return {part: kind for part, kind, *_ in described}


def _with_derived(connection: duckdb.DuckDBPyConnection, source: SourceTable, options: TableMap) -> SourceTable:
    """Add the map's derived columns, and leave out what it omits."""
    where = f"{options.table} of the column map"
    relation, types = source.relation, dict(source.types)
    for name, expression in options.derive.items():
        pure = require_pure(expression, f"{options.table}.derive.{name}")
        relation = f"(select *, (\n{pure}\n) as {identifier(name)} from {relation})"
    pure = require_pure(options.where, f"{options.table}.where") if options.where else "true"
    kept = f"coalesce((\n{pure}\n), false)"
    order = f" order by {', '.join(identifier(name) for name in options.order_by)}" if options.order_by else ""
    try:
        described = connection.execute(f"describe select * from {relation} where {kept}{order}").fetchall()
    except duckdb.Error as error:
        raise AttuneError(
            f"{where}: expected SQL over the columns of {source.path} ({', '.join(source.types)}), found "
            f"{first_line(error)}; correct derive, order_by or where"
        ) from error
    types |= {name: kind for name, kind, *_ in described if name in options.derive}
    remaining = {name: kind for name, kind in types.items() if name not in options.omit}
    lists = {**source.lists, **options.lists}
    _require_names(source, (*options.omit, *options.lists), types, options.table)
    looked_at = frozenset.union(*(columns_read(sql) for sql in (*options.derive.values(), pure)))
    consulted = frozenset(name.lower() for name in (*options.order_by, *options.first_of, *looked_at))
    return replace(source, relation=relation, types=remaining, lists=lists, kept=kept, consulted=consulted)


def _require_names(source: SourceTable, names: tuple[str, ...], types: Mapping[str, str], table: str) -> None:
    for name in names:
        if name not in types:
            raise AttuneError(
                f"{table}: expected column {name!r} in {source.path}, found {', '.join(types)}; correct the column map"
            )
