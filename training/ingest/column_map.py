"""Read any CSV, Parquet or JSON Lines through a small column map, or through guesses where it says nothing.

A map is YAML: per table the file and, by contract name, the source's column; any part may be missing::

    interactions: {file: events.csv, user_id: uid, item_id: sku, occurred_at: time, event_type: action}
    users: {file: people.csv, user_id: uid, country: land}
    items: {file: products.parquet, item_id: sku, category: shelf}
    event_types: {order: purchase, wishlist: save}
    constants: {event_type: purchase, surface: web}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from training.contracts.columns import RAW_INTERACTIONS, RAW_TABLES
from training.contracts.errors import AttuneError, MissingArtefact
from training.ingest.column_names import FILE_STEMS, guess
from training.ingest.history import ARRIVED_ON, History
from training.ingest.side_tables import item_rows, user_rows
from training.ingest.sources import JSON_LINES, PARQUET, TEXT, read_table, require_file
from training.ingest.typed_columns import typed

_ENDINGS = (*TEXT, *PARQUET, *JSON_LINES)
_FILE_KEYS = ("file", "delimiter")


@dataclass(frozen=True, kw_only=True)
class ColumnMap:
    """Where each table lies and what its columns are called; what is empty is guessed.

    Attributes:
        tables: By table: `file`, `delimiter`, and source column by contract column.
        event_types: Contract event type by the source's.
        constants: Contract interaction columns that the source lacks, with their one value.
    """

    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    event_types: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> ColumnMap:
        """Return the map in a YAML file.

        Raises:
            AttuneError: It is missing, is no YAML, or names a table or column that the contract does not have.
        """
        try:
            values = yaml.safe_load(require_file(path, "name the column map").read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise AttuneError(f"expected YAML in {path}, found {' '.join(str(error).split())}") from error
        if not isinstance(values, dict) or not all(isinstance(part, dict) for part in values.values()):
            raise AttuneError(
                f"expected tables with their columns in {path}, found {values!r}; see the README's example"
            )
        return cls.from_dict(values, str(path))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> ColumnMap:
        """Return the map in parsed YAML; `where` is for messages."""
        known = (*RAW_TABLES, "event_types", "constants")
        for name, part in values.items():
            if name not in known:
                raise AttuneError(f"expected {', '.join(known)} in {where}, found {name!r}; correct its name")
            allowed = _allowed(name)
            wrong = [key for key in part if allowed and key not in allowed]
            if wrong:
                raise AttuneError(f"expected {', '.join(allowed)} under {name} in {where}, found {wrong[0]!r}")
        tables = {name: dict(values[name]) for name in RAW_TABLES if name in values}
        return cls(
            tables=tables,
            event_types=dict(values.get("event_types", {})),
            constants=dict(values.get("constants", {})),
        )

    def named(self, table: str) -> dict[str, str]:
        """Return the source column by contract column that the map gives for a table."""
        return {key: value for key, value in self.tables.get(table, {}).items() if key not in _FILE_KEYS}


def read_mapped(folder: Path, columns: ColumnMap) -> History:
    """Return the history in a folder (or of one file) of CSV, Parquet or JSON Lines.

    Raises:
        MissingArtefact: No file of interactions is there.
        AttuneError: A file does not parse, or a required column is not found.
    """
    base = folder.parent if folder.is_file() else folder
    path = folder if folder.is_file() else find_file(base, RAW_INTERACTIONS.name, columns)
    if path is None:
        raise MissingArtefact(
            f"expected a .csv, .parquet or .jsonl of interactions in {base}, found none with a known name; "
            "name it in the column map (COLUMNS=map.yaml): interactions: {file: <name>}"
        )
    sides: dict[str, pa.Table] = {}
    for table, to_contract in (("users", user_rows), ("items", item_rows)):
        side = find_file(base, table, columns)
        if side is not None and side != path:
            sides[table] = to_contract(_read(side, table, columns), side, columns.named(table))
    return History(source=str(folder), interactions=_interactions(path, columns), **sides)


def find_file(folder: Path, table: str, columns: ColumnMap) -> Path | None:
    """Return the file of a table: the map's, else one with a usual name, else (interactions) the only one there is."""
    named = columns.tables.get(table, {}).get("file")
    if named:
        return folder / named
    files = sorted(path for path in folder.glob("*") if path.name.removesuffix(".gz").endswith(_ENDINGS))
    for stem in FILE_STEMS[table]:
        for path in files:
            if path.name.split(".")[0].lower() == stem:
                return path
    return files[0] if table == RAW_INTERACTIONS.name and len(files) == 1 else None


def _interactions(path: Path, columns: ColumnMap) -> pa.Table:
    name = RAW_INTERACTIONS.name
    rows = _read(path, name, columns)
    names = guess(name, rows.column_names, columns.named(name))
    event_type = "rating" if any("rating" in s and t == "event_value" for s, t in names.items()) else "click"
    events = typed(rows, path, name, names, {"event_type": event_type, **columns.constants})
    if columns.event_types:
        at = events.column_names.index("event_type")
        renamed = [columns.event_types.get(cell, cell) for cell in events["event_type"].to_pylist()]
        events = events.set_column(at, "event_type", pa.array(renamed, pa.string()))
    return events


def _read(path: Path, table: str, columns: ColumnMap) -> pa.Table:
    rows = read_table(path, columns.tables.get(table, {}).get("delimiter"))
    for target, source in columns.named(table).items():
        if source not in rows.column_names:
            raise AttuneError(
                f"expected column {source!r} for {target} in {path}, found {', '.join(rows.column_names)}; "
                "correct the column map"
            )
    return rows


def _allowed(part: str) -> tuple[str, ...]:
    if part == "event_types":
        return ()
    if part == "constants":
        return RAW_INTERACTIONS.column_names
    extra = (ARRIVED_ON,) if part == RAW_INTERACTIONS.name else ()
    return (*_FILE_KEYS, *RAW_TABLES[part].column_names, *extra)
