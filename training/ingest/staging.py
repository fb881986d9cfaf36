"""Stage a log's tables in an in-memory database: every row typed, with a verdict, in source order.

A staged row keeps the file it came from, and why it will not be written, if so; so that read = written + rejected +
dropped can be checked for each file and each event type.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from training.contracts.columns import RAW_INTERACTIONS, RAW_ITEMS, RAW_USERS, Table
from training.contracts.errors import AttuneError, MissingArtefact
from training.ingest.column_map import ColumnMap, InteractionsMap, TableMap
from training.ingest.column_names import guess
from training.ingest.contract_sql import LENIENT, contract_sql, lost
from training.ingest.expressions import Reading, identifier, is_nested, literal
from training.ingest.reasons import ANONYMOUS, FIRST_OF, NO_JSON, WHERE
from training.ingest.source_tables import RejectedLine, SourceTable, open_source, rejected_lines

_MEMORY = "2GB"


@dataclass(frozen=True)
class Workspace:
    """A database and a folder for one import; both are gone when it ends."""

    connection: duckdb.DuckDBPyConnection
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """Where a contract column came from: the source's column, None for a constant, and whether that was a guess."""

    column: str
    source: str | None
    guessed: bool


@dataclass(kw_only=True)
class StagedTable:
    """One table of a log, staged as `staged_<table>`.

    Attributes:
        files: In the order of reading; a row's `file` counts them from 0.
        mapped: Where each contract column came from, of the first file.
        verdicts: What a row's `verdict` means: reason and column; 0 is none.
        lines: By file, the lines that are no rows.
        unread: By file, source columns that nothing was read from.
        notes: What was left out, and why.
        grouped: File, verdict, event type and number of rows, once they were counted.
    """

    table: Table
    files: list[SourceTable] = field(default_factory=list)
    mapped: list[Mapped] = field(default_factory=list)
    verdicts: list[tuple[str, str]] = field(default_factory=lambda: [("", "")])
    lines: list[list[RejectedLine]] = field(default_factory=list)
    unread: list[tuple[str, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    grouped: list[tuple[int, int, str | None, int]] | None = None

    def code(self, reason: str, column: str) -> int:
        """Return the number of a verdict, a new one if it is new."""
        if (reason, column) not in self.verdicts:
            self.verdicts.append((reason, column))
        return self.verdicts.index((reason, column))


@contextmanager
def workspace(parent: Path | None = None) -> Iterator[Workspace]:
    """Yield an empty workspace; `parent` is where copies and what memory cannot hold go, None a temporary place."""
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=".import-", dir=parent) as name,
        duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection,
    ):
        folder = Path(name)
        (folder / "spill").mkdir()
        (folder / "copies").mkdir()
        connection.execute(f"set memory_limit = '{_MEMORY}'")
        connection.execute(f"set temp_directory = {literal(str(folder / 'spill'))}")
        connection.execute("set timezone = 'UTC'")
        connection.execute("set enable_progress_bar = false")
        yield Workspace(connection, folder / "copies")


def stage_table(
    place: Workspace, table: Table, paths: list[Path], columns: ColumnMap, now: datetime | None = None
) -> StagedTable:
    """Read the files of one table into `staged_<table>`.

    Args:
        place: Where to stage.
        table: The raw contract.
        paths: Its files, read one after the other.
        columns: The column map.
        now: When the import runs; no event is later than a day after it.

    Raises:
        AttuneError: A file cannot be read, or lacks a column that the contract or the map needs.
    """
    options = columns.of(table.name)
    reading = Reading(
        missing=options.missing,
        time_formats=options.time_format,
        time_unit=options.time_unit,
        timezone=options.timezone,
        now=now or datetime.now(UTC),
    )
    staged = StagedTable(table=table)
    for number, path in enumerate(paths):
        source = open_source(place.connection, place.folder, path, options)
        sources = _sources(table, source, columns, staged)
        query = _query(staged, source, sources, columns, reading, number)
        verb = "insert into staged_{0} by name {1}" if number else "create table staged_{0} as {1}"
        _execute(place, verb.format(table.name, query), path, table)
        staged.files.append(source)
        staged.lines.append(rejected_lines(place.connection, source))
        staged.notes += _lost_notes(place, table, source, sources, number)
    return staged


def _lost_notes(
    place: Workspace, table: Table, source: SourceTable, found: Mapping[str, str], number: int
) -> list[str]:
    """What of descriptive columns could not be read: the row stays, the cell is empty."""
    notes = []
    for column in (name for name in found if name in LENIENT):
        ((cells, example),) = place.connection.execute(
            f"select count(*), any_value({identifier(lost(column))}) from staged_{table.name} where file = {number} "
            f"and {identifier(lost(column))} is not null"
        ).fetchall()
        if cells:
            notes.append(
                f"{source.path.name}: {cells} cells of {found[column]!r} are no time, such as {example!r}; {column} "
                f"was left empty there; say how it is written ({table.name}: {{time_format: ...}}), or leave the "
                f"column out ({table.name}: {{{column}: null}})"
            )
    return notes


def _execute(place: Workspace, query: str, path: Path, table: Table) -> None:
    try:
        place.connection.execute(query)
    except duckdb.Error as error:
        told = " ".join(str(error).split("\n")[0].split())[:300]
        raise AttuneError(
            f"expected rows of {table.name} in {path}, found what DuckDB cannot read: {told}; "
            f"say in the column map how the file is written ({table.name}: delimiter, quote, escape, encoding)"
        ) from error


def _sources(table: Table, source: SourceTable, columns: ColumnMap, staged: StagedTable) -> dict[str, str]:
    """Source column by contract column: the map's, else guessed; what is wrong with a guess is noted or an error."""
    options = columns.of(table.name)
    for target, name in options.named.items():
        if name not in source.types:
            raise AttuneError(
                f"{table.name}.{target}: expected column {name!r} for {target} in {source.path}, found "
                f"{', '.join(source.types)}; correct the column map"
            )
        if name in source.repeated:
            raise AttuneError(
                f"expected one column {name!r} for {target} in {source.path}, found several; give the columns names "
                f"of their own in the column map: {table.name}: {{header: [...]}}"
            )
    free = [name for name in source.types if name not in source.repeated and " (" not in name]
    found = {target: name for name, target in guess(table.name, free, options.named).items()}
    found = {target: name for target, name in found.items() if target not in options.empty}
    if table is RAW_INTERACTIONS:
        found = {target: name for target, name in found.items() if target not in columns.constants}
    for name in source.repeated:
        staged.notes.append(f"{source.path.name}: several columns are called {name!r}; none of them was read")
    _require(table, source, found, columns)
    if not staged.files:
        staged.mapped = [Mapped(column=t, source=n, guessed=t not in options.named) for t, n in found.items()]
        extra = columns.constants if table is RAW_INTERACTIONS else {}
        staged.mapped += [Mapped(column=t, source=None, guessed=False) for t in extra]
    return found


def _require(table: Table, source: SourceTable, found: Mapping[str, str], columns: ColumnMap) -> None:
    needed = {RAW_INTERACTIONS: ("user_id", "item_id", "occurred_at"), RAW_USERS: ("user_id",), RAW_ITEMS: ("item_id",)}
    constants = columns.constants if table is RAW_INTERACTIONS else {}
    for target in needed[table]:
        if target not in found and target not in constants:
            twice = f" ({', '.join(sorted(source.repeated))} more than once)" if source.repeated else ""
            raise MissingArtefact(
                f"expected a column for {target} in {source.path}, found {', '.join(source.types)}{twice}; name it in "
                f"the column map (COLUMNS=map.yaml): {table.name}: {{{target}: <column>}}"
            )
    for target, name in found.items():
        kind = source.types[name]
        is_list = next((c.kind for c in table.columns if c.name == target), "") == "strings" or target == "category"
        if is_nested(kind) and not (is_list and kind.endswith("[]")):
            raise AttuneError(
                f"column {target} of {source.path}: expected text, found {kind} in column {name}; "
                "map another column to it"
            )


def _query(
    staged: StagedTable,
    source: SourceTable,
    found: Mapping[str, str],
    columns: ColumnMap,
    reading: Reading,
    number: int,
) -> str:
    """SQL of a file's rows in contract types, each with its verdict and, where it is at fault, the row as it came."""
    options = columns.of(staged.table.name)
    sql = contract_sql(staged.table, source, found, columns, reading)
    used = {name.lower() for name in sql.used} | source.consulted
    staged.unread.append(tuple(name for name in source.types if name.lower() not in used))
    tests = [("broken", staged.code(NO_JSON, ""))] if source.broken != "false" else []
    tests += [("not kept", staged.code(WHERE, ""))] if options.where else []
    if options.first_of:
        tests.append(("place > 1", staged.code(FIRST_OF, "")))
    if isinstance(options, InteractionsMap) and options.anonymous:
        tests.append(("user_id is null", staged.code(ANONYMOUS, "")))
    dropped = [code for _, code in tests if staged.verdicts[code][0] != NO_JSON]
    tests += [(test, staged.code(reason, column)) for reason, column, test in sql.faults]
    if sql.sound:
        tests.insert(len(dropped) + (source.broken != "false"), (sql.sound, 0))
    verdict = " ".join(f"when {test} then {code}" for test, code in tests)
    cells = ", ".join(f"{identifier(name)} := {identifier(name)}" for name in sql.used) or "nothing := null"
    values = ", ".join(f"{value} as {identifier(name)}" for name, value in sql.values.items())
    listed = ", ".join(identifier(name) for name in sql.values)
    order = f"row_number() over (order by {_ordered(options.order_by)})" if options.order_by else "0"
    raw = f"case when verdict not in ({', '.join(map(str, [0, *dropped]))}) then to_json(came)::varchar end"
    return (
        f"select {number}::usmallint as file, verdict, {raw} as raw, {listed} from ("
        f"select *, (case {verdict} else 0 end)::utinyint as verdict from ("
        f"select came, broken, kept, place, source_order, {values} from ("
        f"select struct_pack({cells}) as came, {source.broken} as broken, kept, {_place(options)} as place, "
        f"{order} as source_order from ("
        f"select *, {source.kept} as kept from {source.relation} as source))))"
        + (" order by source_order" if options.order_by else "")
    )


def _place(options: TableMap) -> str:
    """SQL of a row's number among the kept ones that agree in `first_of`."""
    if not options.first_of:
        return "1"
    order = f" order by {_ordered(options.order_by)}" if options.order_by else ""
    return f"row_number() over (partition by kept, {_listed(options.first_of)}{order})"


def _ordered(names: tuple[str, ...]) -> str:
    """SQL that orders by columns, numbers by their size though they are text."""
    return ", ".join(f"try_cast({name}::varchar as double), {name}" for name in map(identifier, names))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(identifier(name) for name in names)
