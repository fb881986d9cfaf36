"""Tell how a text file separates and quotes its cells, and what its columns are called."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from training.contracts.errors import AttuneError
from training.ingest.column_map import TableMap
from training.ingest.column_names import is_known

_DELIMITERS = ("\t", "::", ";", "|", ",")
_NUMBER_OR_TIME = re.compile(r"[-+]?\d[\d.,:/TZ +-]*(e[-+]?\d+)?", re.IGNORECASE)
_SAMPLE = 200


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How to read a text file.

    Attributes:
        delimiter: One to four characters.
        columns: Its columns, as the header or the map names them; a name that occurs again has a number added.
        repeated: Names that occur more than once.
        skip: Lines before the first row.
        types: RecBole's type by column, where the header has types.
    """

    delimiter: str
    columns: tuple[str, ...]
    repeated: frozenset[str]
    skip: int
    types: dict[str, str]


def read_dialect(head: str, path: Path, options: TableMap) -> Dialect:
    """Return the dialect of a text file from its first characters and what the map says.

    Raises:
        AttuneError: The first line is no header and none is given, or the given one does not fit.
    """
    lines, skip = _after_preamble(head)
    delimiter = options.delimiter or _sep_line(head) or _most_even(lines, options)
    first = cells(lines, delimiter, 1)[0]
    names = [cell.strip() for cell in first]
    if options.header:
        is_header = list(options.header) == names or sum(is_known(options.table, name) for name in names) > 2
        if len(options.header) != len(names):
            raise AttuneError(
                f"expected {len(options.header)} columns in {path} as {options.table}.header names, found "
                f"{len(names)}: {delimiter.join(first)[:120]!r}; correct the header or the delimiter in the column map"
            )
        names, height = list(options.header), int(is_header)
    else:
        _require_header(names, path, options)
        height = len(lines[: _height(lines, delimiter)])
    types: dict[str, str] = {}
    if options.typed_header == "true":
        names, types = _typed(names, path)
    columns, repeated = _distinct(names)
    return Dialect(delimiter=delimiter, columns=columns, repeated=repeated, skip=skip + height, types=types)


def cells(lines: list[str], delimiter: str, count: int) -> list[list[str]]:
    """Return the cells of the first rows, quotes read."""
    if len(delimiter) > 1:
        return [line.split(delimiter) for line in lines[:count]]
    csv.field_size_limit(1 << 24)
    reader = csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter, skipinitialspace=True)
    rows: list[list[str]] = []
    for row in reader:
        if row:
            rows.append(row)
        if len(rows) == count:
            break
    return rows


def _after_preamble(head: str) -> tuple[list[str], int]:
    """The lines from the header on, and how many are before it: blank ones, and Excel's `sep=;`."""
    lines = head.lstrip("\ufeff").split("\n")
    skip = 0
    while skip < len(lines) - 1 and (not lines[skip].strip() or _sep_line(lines[skip])):
        skip += 1
    return lines[skip:], skip


def _sep_line(head: str) -> str | None:
    found = re.match(r'"?sep=(.)"?\s*(\n|$)', head.lstrip("\ufeff"), re.IGNORECASE)
    return found.group(1) if found else None


def _most_even(lines: list[str], options: TableMap) -> str:
    """The delimiter by which most of the first rows have as many cells as the header, then the one with most cells."""

    def score(delimiter: str) -> tuple[float, int]:
        rows = cells(lines[:-1] or lines, delimiter, _SAMPLE)
        widths = Counter(len(row) for row in rows)
        width = len(rows[0]) if rows else 1
        even = widths[width] / max(len(rows), 1)
        fits = len(options.header) in (0, width)
        return (even if width > 1 and even >= 0.5 else 0.0) + fits, width

    fitting = [delimiter for delimiter in _DELIMITERS if delimiter in lines[0]]
    return max(fitting, key=score, default=",")


def _height(lines: list[str], delimiter: str) -> int:
    """How many lines the header takes: a quoted name may hold a line break."""
    if len(delimiter) > 1:
        return 1
    reader = csv.reader(iter(line + "\n" for line in lines), delimiter=delimiter, skipinitialspace=True)
    next(reader)
    return reader.line_num


def _require_header(names: list[str], path: Path, options: TableMap) -> None:
    if any(is_known(options.table, name) for name in names):
        return
    counted = [name for name in names if _NUMBER_OR_TIME.fullmatch(name)]
    is_named = bool((set(options.named.values()) | set(options.omit)) & (set(names) - set(counted)))
    if 2 * len(counted) >= len(names) or (counted and not is_named):
        shown = ", ".join(names)[:120]
        raise AttuneError(
            f"expected names of columns in the first line of {path}, found data: {shown}; name the "
            f"{len(names)} columns in the column map (COLUMNS=map.yaml): {options.table}: {{header: [user_id, ...]}}"
        )


def _typed(names: list[str], path: Path) -> tuple[list[str], dict[str, str]]:
    untyped = [name for name in names if ":" not in name]
    if untyped:
        raise AttuneError(
            f"expected columns as name:type in {path}, found {untyped[0]!r}; "
            "write the type after each name, such as user_id:token"
        )
    pairs = [name.split(":", 1) for name in names]
    return [name for name, _ in pairs], {name: kind for name, kind in pairs}


def _distinct(names: Iterable[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Names that differ in more than case, as SQL needs them; an empty one is called by its place."""
    seen: Counter[str] = Counter()
    found: list[str] = []
    repeated: set[str] = set()
    for place, name in enumerate(names, start=1):
        plain = name or f"column {place}"
        seen[plain.lower()] += 1
        if seen[plain.lower()] > 1:
            repeated.add(next(one for one in found if one.lower() == plain.lower()))
            plain = f"{plain} ({seen[plain.lower()]})"
        found.append(plain)
    return tuple(found), frozenset(repeated)
