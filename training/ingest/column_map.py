"""Hold a column map: where each table of a log lies, how its files are written, and what its columns are called.

`README.md` beside this module documents every key with an example. A map is YAML whose scalars are all text, so that
`1: click`, `no` and a date stay what was written.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self
from zoneinfo import ZoneInfo

import duckdb
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from training.contracts.columns import EVENT_TYPES, RAW_INTERACTIONS, RAW_ITEMS, RAW_TABLES, RAW_USERS
from training.contracts.errors import AttuneError
from training.ingest.column_names import ARRIVED_ON
from training.ingest.sources import require_file

DROP = "drop"
_UNSET = ("", "~", "null", "Null", "NULL")
"""How YAML writes nothing: a column that is mapped to it is left unread, an event type is dropped."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TableMap(_Part):
    """One table of a log; what is left out is guessed.

    Attributes:
        columns: Source column by contract column (or `arrived_on`); None leaves the contract column empty. The
            attributes of items may be several columns, each of which gives `name=value`.
        file: Names or globs, relative to the log's folder.
        header: Names of the columns of a file that has none.
        typed_header: The header reads `name:type`, as RecBole writes it.
        missing: Cells that mean "nothing", in every column; without it the usual ones count in ids, times and numbers.
        lists: Separator by source column that holds several values.
        derive: Further source columns, each an SQL expression over the others.
        where: SQL condition over source columns; rows that do not meet it are dropped and counted.
        order_by: Source columns that give the order of rows, where the file's own is not it.
        first_of: Source columns; of the rows that agree in them the first is kept, the others are dropped and counted.
    """

    table: ClassVar[str]

    columns: dict[str, str | tuple[str, ...] | None] = Field(default_factory=dict)
    file: tuple[str, ...] = ()
    encoding: str | None = None
    delimiter: str | None = Field(default=None, min_length=1, max_length=4)
    quote: str | None = None
    escape: str | None = None
    header: tuple[str, ...] = ()
    typed_header: Literal["true", "false"] = "false"
    missing: tuple[str, ...] | None = None
    time_format: tuple[str, ...] = ()
    time_unit: Literal["s", "ms", "us", "ns"] | None = None
    timezone: str | None = None
    lists: dict[str, str] = Field(default_factory=dict)
    omit: tuple[str, ...] = ()
    derive: dict[str, str] = Field(default_factory=dict)
    where: str | None = None
    order_by: tuple[str, ...] = ()
    first_of: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _gather_columns(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or "columns" in values:
            return values
        names = contract_names(cls.table)
        rest = {key: value for key, value in values.items() if key not in names}
        return {**rest, "columns": {key: _or_none(value) for key, value in values.items() if key in names}}

    @field_validator("file", "header", "missing", "time_format", "omit", "order_by", "first_of", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("delimiter", "quote", "escape", mode="before")
    @classmethod
    def _named_character(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return {"tab": "\t", "\\t": "\t", "none": "", "comma": ",", "space": " "}.get(value, value)

    @field_validator("quote", "escape")
    @classmethod
    def _single_character(cls, value: str | None) -> str | None:
        if value is not None and len(value) > 1:
            raise ValueError('one character, or "none"')
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        try:
            return codecs.lookup(value).name if value else None
        except LookupError as error:
            raise ValueError("an encoding that Python knows, such as latin-1, cp1252 or utf-16") from error

    @field_validator("time_format")
    @classmethod
    def _known_format(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            with duckdb.connect() as connection:
                connection.execute("select try_strptime('', ?::varchar[])", [list(value)]).fetchall()
        except duckdb.Error as error:
            raise ValueError("formats of strptime, such as '%d/%m/%Y %H:%M:%S'") from error
        return value

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str | None) -> str | None:
        try:
            return str(ZoneInfo(value)) if value else None
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("a time zone such as UTC or Europe/Berlin") from error

    @model_validator(mode="after")
    def _one_column_each(self) -> Self:
        several = [name for name, source in self.columns.items() if isinstance(source, tuple) and name != "attributes"]
        if several:
            raise ValueError(f"one column for {several[0]}; only attributes of items takes several")
        return self

    @property
    def named(self) -> dict[str, str]:
        """Source column by contract column, for those that have one."""
        return {name: source for name, source in self.columns.items() if isinstance(source, str)}

    @property
    def empty(self) -> tuple[str, ...]:
        """Contract columns that the map leaves empty on purpose."""
        return tuple(name for name, source in self.columns.items() if source is None)


class InteractionsMap(TableMap):
    """The interactions of a log; `anonymous: drop` drops rows without a user, counted."""

    table: ClassVar[str] = RAW_INTERACTIONS.name
    anonymous: Literal["drop"] | None = None


class UsersMap(TableMap):
    """The users of a log."""

    table: ClassVar[str] = RAW_USERS.name


class ItemsMap(TableMap):
    """The items of a log."""

    table: ClassVar[str] = RAW_ITEMS.name


class ColumnMap(_Part):
    """How to read a log; what is empty is guessed.

    Attributes:
        event_types: Contract event type by the source's; None drops the type, counted.
        constants: Text for interaction columns that the source lacks.
    """

    interactions: InteractionsMap = Field(default_factory=InteractionsMap)
    users: UsersMap = Field(default_factory=UsersMap)
    items: ItemsMap = Field(default_factory=ItemsMap)
    event_types: dict[str, Literal["view", "click", "play", "like", "save", "purchase", "rating"] | None] = Field(
        default_factory=dict
    )
    constants: dict[str, str] = Field(default_factory=dict)

    @field_validator("event_types", mode="before")
    @classmethod
    def _dropped_types(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {key: None if target == DROP else _or_none(target) for key, target in value.items()}

    @field_validator("constants")
    @classmethod
    def _known_constants(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if name not in contract_names(RAW_INTERACTIONS.name):
                raise ValueError(f"columns of interactions, found {name!r}")
        return value

    @classmethod
    def load(cls, path: Path) -> ColumnMap:
        """Return the map in a YAML file.

        Raises:
            AttuneError: It is missing, is no YAML, or says something that no map can; the message names where.
        """
        text = require_file(path, "name the column map").read_text(encoding="utf-8", errors="replace")
        (values,) = parse_yaml(text, str(path)) or ({},)
        return cls.from_dict(values, str(path))

    @classmethod
    def from_dict(cls, values: Any, where: str) -> ColumnMap:
        """Return the map in parsed YAML; `where` is for messages."""
        if not isinstance(values, dict) or not all(isinstance(part, dict) for part in values.values()):
            raise AttuneError(
                f"expected tables with their columns in {where}, found {values!r}; "
                "training/ingest/README.md shows every key with an example"
            )
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise AttuneError(_told(error, where)) from error

    def of(self, table: str) -> TableMap:
        """Return the part of one table."""
        part: TableMap = getattr(self, table)
        return part


def parse_yaml(text: str, where: str) -> list[Any]:
    """Return the documents in YAML, every scalar as text.

    Raises:
        AttuneError: It is no YAML.
    """
    try:
        return [document for document in yaml.load_all(text, yaml.BaseLoader) if document != ""]
    except yaml.YAMLError as error:
        raise AttuneError(f"expected YAML in {where}, found {' '.join(str(error).split())}; correct it") from error


def contract_names(table: str) -> tuple[str, ...]:
    """Return the columns that a map may name for a table."""
    return (*RAW_TABLES[table].column_names, ARRIVED_ON)


def _or_none(value: Any) -> Any:
    return None if isinstance(value, str) and value in _UNSET else value


def _told(error: ValidationError, where: str) -> str:
    """Return the first fault as one line with its path into the file."""
    fault = error.errors()[0]
    *parents, last = [str(part) for part in fault["loc"] if part != "columns"] or [""]
    found = f"{last!r}" if fault["type"] == "extra_forbidden" else f"{fault['input']!r}"
    parts = RAW_TABLES.keys() & set(parents)
    if fault["type"] == "extra_forbidden":
        known = _keys(next(iter(parts))) if parts else tuple(ColumnMap.model_fields)
        expected = ", ".join(known)
    elif fault["type"] == "literal_error" and "event_types" in parents:
        expected = f"one of {', '.join(EVENT_TYPES)}, or {DROP}"
    else:
        expected = fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    path = ".".join([*parents, last])
    under = f" under {'.'.join(parents)}" if parents else ""
    return f"{path}: expected {expected}{under} in {where}, found {found}; correct the column map"


def _keys(table: str) -> tuple[str, ...]:
    fields = InteractionsMap.model_fields if table == RAW_INTERACTIONS.name else TableMap.model_fields
    return (*(name for name in fields if name != "columns"), *contract_names(table))
