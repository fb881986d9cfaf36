"""Write SQL that reads a cell, of whatever type its column came in, as text, id, number, time or list.

What cannot be read is null; the caller tells a cell that was empty from one that was wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MISSING = ("", "NULL", "null", "Null", "None", "none", "NaN", "nan", "NA", "N/A", "n/a", "<NA>", "NaT", "\\N")
"""Cells that mean "nothing" in ids, event types, numbers and times, unless the column map says otherwise."""
BLANK = ("", "NULL", "null", "NaN", "nan", "<NA>", "\\N")
"""Those that mean it in descriptions, where "None" or "NA" may be a word."""
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_BLANKS = 2
"""Blanks that may surround a cell that means "nothing"."""
_UNITS = {"s": 1_000_000.0, "ms": 1_000.0, "us": 1.0, "ns": 0.001}
_DIGITS = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_WRITTEN = (
    "%Y-%m-%d %H",
    "%Y%m%dT%H%M%S",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d %b %Y",
    "%d %B %Y",
    "%d-%b-%Y",
    "%d-%b-%Y %H:%M:%S",
    "%b %d %Y %H:%M:%S",
    "%d %b %Y %H:%M:%S",
    "%a %b %d %H:%M:%S %Y",
    "%a, %d %b %Y %H:%M:%S",
)
"""Spellings that can be read in one way only, besides ISO 8601; 01/02/2024 is not among them."""
_ZONE = r":\d\d(\.\d+)?\s*[+-]\d\d:?(\d\d)?$"
_INFINITE = r"^\s*[-+]?(?i:inf)"
_UTC = r"\s*(UTC|GMT|Z)$"
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "UTINYINT")
_UNSIGNED = ("USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How the cells of one table are read.

    Attributes:
        missing: The map's cells that mean "nothing"; None takes the usual ones.
        time_formats: strptime formats; none takes what can be read in one way only.
        time_unit: What a number counts; None takes what makes it plausible.
        timezone: Zone of times that name none; None is UTC.
        now: When the import runs; a day later is the latest plausible time.
    """

    missing: tuple[str, ...] | None = None
    time_formats: tuple[str, ...] = ()
    time_unit: str | None = None
    timezone: str | None = None
    now: datetime

    @property
    def latest(self) -> datetime:
        """The latest plausible time."""
        return self.now + timedelta(days=1)


def identifier(name: str) -> str:
    """Return a column's name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def is_nested(kind: str) -> bool:
    """Return whether a DuckDB type holds several values."""
    return kind.startswith(("STRUCT", "MAP", "UNION")) or kind.endswith("]")


def id_text(cell: str, kind: str, reading: Reading) -> str:
    """Return an id, without blanks around it; null where the cell means nothing."""
    return _without(cell, kind, reading.missing or MISSING)


def label(cell: str, kind: str, reading: Reading) -> str:
    """Return text of a description; null where it is empty."""
    return _without(cell, kind, reading.missing or BLANK)


def number(cell: str, kind: str, reading: Reading) -> str:
    """Return a finite number, else null."""
    parsed = f"try_cast({cell} as double)" if kind == "VARCHAR" or _is_number(kind) else "null::double"
    return f"(case when isfinite({parsed}) then {parsed} end)"


def moment(cell: str, kind: str, reading: Reading) -> str:
    """Return a time (UTC, without zone), else null; a number counts only where it is plausible."""
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        stamp = f"{cell}::timestamptz::timestamp" if kind == "TIMESTAMPTZ_NS" else f"{cell}::timestamp"
        return f"(case when isfinite({stamp}) then {_in_utc(stamp, reading, kind)} end)"
    if _is_number(kind) and not reading.time_formats:
        return _counted(f"try_cast({cell} as double)", reading)
    if kind != "VARCHAR" and not _is_number(kind):
        return "null::timestamp"
    if reading.time_formats:
        cell = _text(cell, kind)
        formats = ", ".join(literal(one) for one in reading.time_formats)
        text = f"try_strptime(trim({cell}), [{formats}])"
        return _in_utc(f"{text}::timestamp", reading, "TIMESTAMP")
    counted = _counted(f"try_cast({cell} as double)", reading)
    return counted if reading.time_unit else f"coalesce({counted}, {_written(cell, reading)})"


def parts(cell: str, kind: str, separator: str | None) -> str:
    """Return the values in a cell as a list of text: a list's, a JSON list's, or those between separators."""
    if kind.endswith("[]"):
        split = f"list_transform({cell}, lambda part: part::varchar)"
    elif separator is None:
        split = json_list(cell)
        split = f"(case when contains({cell}, '|') then string_split({cell}, '|') else {split} end)"
    else:
        split = f"string_split({cell}::varchar, {literal(separator)})"
    return f"list_filter(list_transform({split}, lambda part: trim(part)), lambda part: part <> '')"


def json_list(cell: str) -> str:
    """Return the values of a JSON list; of other text a list of itself."""
    listed = f"try_cast({cell}::json as varchar[])"
    return f"(case when starts_with({cell}, '[') and json_valid({cell}) then {listed} else [{cell}] end)"


def _text(cell: str, kind: str) -> str:
    if kind == "VARCHAR":
        return f"trim({cell})"
    if kind in ("FLOAT", "DOUBLE"):
        whole = f"isfinite({cell}) and {cell} = trunc({cell}) and abs({cell}) < 1e30"
        return f"(case when {whole} then {cell}::hugeint::varchar when isfinite({cell}) then {cell}::varchar end)"
    if kind.startswith("DECIMAL"):
        return f"regexp_replace({cell}::varchar, '\\.0+$', '')"
    if kind == "BLOB":
        uuid = f"try_cast(lower(hex({cell})) as uuid)::varchar"
        words = f"try(decode({cell}))"
        return (
            f"(case when octet_length({cell}) = 16 and ({words} is null or regexp_matches({words}, '[[:cntrl:]]')) "
            f"then {uuid} else {words} end)"
        )
    return f"{cell}::varchar"


def _without(cell: str, kind: str, missing: Sequence[str]) -> str:
    """Text, null where it is one of `missing`; long text is not compared, which most ids are."""
    text = _text(cell, kind)
    longest = max((len(one) for one in missing), default=0) + _BLANKS
    listed = ", ".join(literal(one) for one in missing) or "''"
    short = f"length({cell}) <= {longest} and " if kind == "VARCHAR" else ""
    return f"(case when {short}{text} in ({listed}) then null else {text} end)"


def _is_number(kind: str) -> bool:
    return kind.split("(")[0] in (*_NUMBERS, *_UNSIGNED)


def _counted(value: str, reading: Reading) -> str:
    """A number as a time: in the given unit, else in the one that makes it plausible, else as digits of a date.

    No expression but the number itself stands here twice: DuckDB computes what is repeated for every row, ahead of the
    case that guards it.
    """
    low, high = EARLIEST.timestamp() * 1e6, reading.latest.timestamp() * 1e6
    units = [reading.time_unit] if reading.time_unit else list(_UNITS)
    cases = [
        f"when {value} between {low / _UNITS[unit]!r} and {high / _UNITS[unit]!r} "
        f"then make_timestamp(round({value} * {_UNITS[unit]!r})::bigint)"
        for unit in units
    ]
    if not reading.time_unit and not reading.time_formats:
        sizes = " or ".join(
            f"{value} between {19900101 * 10 ** (size - 8)} and {(reading.latest.year + 1) * 10 ** (size - 4)}"
            for size in _DIGITS
        )
        formats = ", ".join(map(literal, _DIGITS.values()))
        cases.append(f"when {sizes} then try_strptime(try_cast({value} as bigint)::varchar, [{formats}])")
    return f"(case {' '.join(cases)} end)"


def _written(cell: str, reading: Reading) -> str:
    """A written time: ISO 8601 with or without a zone, else a spelling that can be read in one way only."""
    plain = f"trim(regexp_replace({cell}, '{_UTC}', ''))"
    formats = ", ".join(literal(one) for one in _WRITTEN)
    zoned = f"regexp_matches({cell}, '{_ZONE}') or ends_with({cell}, 'Z') or ends_with({cell}, 'UTC')"
    iso = (
        f"case when regexp_matches({cell}, '{_INFINITE}') then null "
        f"when {zoned} then try_cast({cell} as timestamptz)::timestamp "
        f"else {_in_utc(f'try_cast({cell} as timestamp)', reading, '')} end"
    )
    return f"coalesce({iso}, {_in_utc(f'try_strptime({plain}, [{formats}])', reading, '')})"


def _in_utc(stamp: str, reading: Reading, kind: str) -> str:
    if reading.timezone in (None, "UTC") or "TZ" in kind or kind.endswith("TIME ZONE"):
        return stamp
    return f"timezone({literal(str(reading.timezone))}, {stamp})::timestamp"
