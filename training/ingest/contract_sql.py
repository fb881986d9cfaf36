"""Write the SQL that turns a source file's columns into those of the contract, with a test for each fault.

Values are written over `came`, the row as it came, so that the same SQL can say which cell was at fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from training.contracts.columns import RAW_INTERACTIONS, RAW_ITEMS, RAW_USERS, Table
from training.ingest.column_map import ColumnMap, ItemsMap
from training.ingest.column_names import ARRIVED_ON
from training.ingest.expressions import (
    EARLIEST,
    Reading,
    id_text,
    identifier,
    is_nested,
    json_list,
    label,
    literal,
    moment,
    number,
    parts,
)
from training.ingest.reasons import IMPLAUSIBLE_TIME, NO_TIME
from training.ingest.row_checks import MISSING_VALUE, WRONG_TYPE
from training.ingest.source_tables import SourceTable

AGE_BANDS = ((56, "56+"), (50, "50-55"), (45, "45-49"), (35, "35-44"), (25, "25-34"), (18, "18-24"), (0, "under 18"))
"""MovieLens' bands: the lower bound in years, which is also its code in the 1M release."""
SOURCE_TYPE = "source_type"
LENIENT = ("signed_up_at", "created_at")
"""Times of users and items that may be unreadable without costing the row."""
_OPTIONAL = ("event_id", "event_value", ARRIVED_ON)
_RATED = ("rating", "stars", "score", "overall", "rate")


@dataclass(frozen=True)
class ContractSql:
    """One file's rows in contract columns.

    Attributes:
        values: SQL over `came`, by column.
        faults: Reason, column, and SQL over `came` and the values that finds the rows at fault; the first one counts.
        used: Source columns that were read.
        sound: SQL that is true only of rows without a fault, to be tried first; empty where there is no short test.
    """

    values: dict[str, str]
    faults: list[tuple[str, str, str]]
    used: tuple[str, ...]
    sound: str = ""


def contract_sql(
    table: Table, source: SourceTable, found: Mapping[str, str], columns: ColumnMap, reading: Reading
) -> ContractSql:
    """Return the SQL of one file.

    Args:
        table: The raw contract.
        source: The file.
        found: Its column by contract column.
        columns: The column map.
        reading: How cells are read.
    """
    if table is RAW_INTERACTIONS:
        return _interactions(source, found, columns, reading)
    if table is RAW_USERS:
        return _users(source, found, reading)
    return _items(source, found, columns.items, reading)


def _cell(name: str) -> str:
    return f"came.{identifier(name)}"


def _value(table: Table, column: str, source: SourceTable, name: str, reading: Reading) -> str:
    kind, contract = source.types[name], {c.name: c.kind for c in table.columns}
    cell = _cell(name)
    if column == ARRIVED_ON:
        return f"{moment(cell, kind, reading)}::date"
    if contract[column] == "timestamp":
        return moment(cell, kind, reading)
    if contract[column] == "double":
        return number(cell, kind, reading)
    if contract[column] == "strings":
        return parts(cell, kind, source.lists.get(name))
    return (id_text if column in ("user_id", "item_id", "event_id") else label)(cell, kind, reading)


def _interactions(source: SourceTable, found: Mapping[str, str], columns: ColumnMap, reading: Reading) -> ContractSql:
    values, faults = {}, []
    for column in RAW_INTERACTIONS.column_names:
        if column in found and column != "event_type":
            values[column] = _value(RAW_INTERACTIONS, column, source, found[column], reading)
        elif column in columns.constants and column != "event_type":
            values[column] = _constant(column, columns.constants[column], reading)
        elif column != "event_type":
            values[column] = {"event_value": "null::double"}.get(column, "null::varchar")
    values[SOURCE_TYPE] = _source_type(source, found, columns, reading)
    values[ARRIVED_ON] = (
        _value(RAW_INTERACTIONS, ARRIVED_ON, source, found[ARRIVED_ON], reading)
        if (ARRIVED_ON in found)
        else "null::date"
    )
    if "occurred_at" in found:
        faults += _time_faults("occurred_at", source, found["occurred_at"], reading)
    for column in ("user_id", "item_id"):
        faults.append((MISSING_VALUE, column, f"{identifier(column)} is null"))
    faults.append((MISSING_VALUE, "event_type", f"{SOURCE_TYPE} is null"))
    if "event_id" in found:
        faults.append((MISSING_VALUE, "event_id", "event_id is null"))
    if ARRIVED_ON in found:
        faults.append((MISSING_VALUE, ARRIVED_ON, f"{ARRIVED_ON} is null"))
    if "event_value" in found:
        given = id_text(_cell(found["event_value"]), source.types[found["event_value"]], reading)
        faults.append((WRONG_TYPE, "event_value", f"event_value is null and {given} is not null"))
    return ContractSql(values, faults, tuple(dict.fromkeys(found.values())), _sound(found, reading))


def _sound(found: Mapping[str, str], reading: Reading) -> str:
    """Most rows have no fault; one test tells, instead of one for each fault."""
    given = ["user_id", "item_id", SOURCE_TYPE, *(name for name in _OPTIONAL if name in found)]
    tests = [f"{name} is not null" for name in given]
    return " and ".join([*tests, f"occurred_at {_plausible(reading)}"])


def _plausible(reading: Reading) -> str:
    low, high = (f"timestamp '{at:%Y-%m-%d %H:%M:%S}'" for at in (EARLIEST, reading.latest))
    return f"between {low} and {high}"


def _constant(column: str, text: str, reading: Reading) -> str:
    if column == "occurred_at":
        return moment(literal(text), "VARCHAR", reading)
    return f"{literal(text)}::{'double' if column == 'event_value' else 'varchar'}"


def _source_type(source: SourceTable, found: Mapping[str, str], columns: ColumnMap, reading: Reading) -> str:
    """The event type as the source has it; without one, "rating" where the value is one, else "click"."""
    if "event_type" in found:
        name = found["event_type"]
        return id_text(_cell(name), source.types[name], reading)
    rated = any(word in found.get("event_value", "").lower() for word in _RATED)
    return f"{literal(columns.constants.get('event_type', 'rating' if rated else 'click'))}"


def _time_faults(column: str, source: SourceTable, name: str, reading: Reading) -> list[tuple[str, str, str]]:
    cell, kind, value = _cell(name), source.types[name], identifier(column)
    numeric = f"try_cast({cell}::varchar as double) is not null"
    return [
        (MISSING_VALUE, column, f"{value} is null and {id_text(cell, kind, reading)} is null"),
        (IMPLAUSIBLE_TIME, column, f"{value} is null and {numeric}"),
        (NO_TIME, column, f"{value} is null"),
        (IMPLAUSIBLE_TIME, column, f"not ({value} {_plausible(reading)})"),
    ]


def _users(source: SourceTable, found: Mapping[str, str], reading: Reading) -> ContractSql:
    values = {column: _value(RAW_USERS, column, source, name, reading) for column, name in found.items()}
    if "age_band" in values:
        values["age_band"] = _age_band(values["age_band"])
    faults = [(MISSING_VALUE, "user_id", "user_id is null")]
    values |= _lost(source, found, values, reading)
    return ContractSql(values, faults, tuple(dict.fromkeys(found.values())))


def lost(column: str) -> str:
    """Return the name under which staging keeps cells of a lenient column that could not be read."""
    return f"lost {column}"


def _lost(source: SourceTable, found: Mapping[str, str], values: Mapping[str, str], reading: Reading) -> dict[str, str]:
    return {
        lost(column): f"(case when {values[column]} is null then "
        f"{id_text(_cell(found[column]), source.types[found[column]], reading)} end)"
        for column in found
        if column in LENIENT
    }


def _age_band(text: str) -> str:
    """A band for an age in years, or for MovieLens' code; text that is no number is taken for a band already."""
    years = f"try_cast({text} as double)"
    cases = " ".join(f"when {years} >= {low} then {literal(band)}" for low, band in AGE_BANDS)
    return f"(case {cases} else {text} end)"


def _items(source: SourceTable, found: Mapping[str, str], options: ItemsMap, reading: Reading) -> ContractSql:
    """Items: of a category cell that holds several values the first is the category, the second the subcategory."""
    plain = {column: name for column, name in found.items() if column not in ("category", "attributes")}
    values = {column: _value(RAW_ITEMS, column, source, name, reading) for column, name in plain.items()}
    tags: list[str] = []
    chosen = options.columns.get("attributes")
    if "category" in found:
        name = found["category"]
        listed = parts(_cell(name), source.types[name], source.lists.get(name))
        values["category"] = f"({listed})[1]"
        values.setdefault("subcategory", f"({listed})[2]")
        tags += [] if isinstance(chosen, tuple) else [_tags("category", listed)]
    used = set(found.values())
    others = chosen if isinstance(chosen, tuple) else tuple(n for n in source.types if n not in used)
    for name in others if "attributes" not in options.empty else ():
        kind = source.types[name]
        if is_nested(kind) and not (kind.endswith("[]") and (name in source.lists or isinstance(chosen, tuple))):
            continue
        if name in source.lists or kind.endswith("[]"):
            listed = parts(_cell(name), kind, source.lists.get(name))
        elif "JSON" in source.format.get("form", ""):
            listed = json_list(label(_cell(name), kind, reading))
        else:
            listed = f"[{label(_cell(name), kind, reading)}]"
        tags.append(_tags(name, listed))
        used.add(name)
    if "attributes" in found:
        tags.append(
            parts(_cell(found["attributes"]), source.types[found["attributes"]], source.lists.get(found["attributes"]))
        )
    if tags:
        values["attributes"] = (
            "list_concat(" + ", ".join(f"coalesce({one}, []::varchar[])" for one in (*tags, "[]::varchar[]")) + ")"
        )
    faults = [(MISSING_VALUE, "item_id", "item_id is null")]
    ordered = tuple(name for name in source.types if name in used)
    values |= _lost(source, plain, values, reading)
    return ContractSql(values, faults, ordered)


def _tags(name: str, listed: str) -> str:
    start = literal(f"{name}=")
    return f"list_transform(list_filter({listed}, lambda part: part is not null), lambda part: {start} || part)"
