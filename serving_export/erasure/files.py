"""Walk a home, and find or take out users in every file by its kind."""

from __future__ import annotations

import logging
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from serving_export.erasure import databases, parquet_files, texts
from serving_export.erasure.people import People, names_items
from training.settings import Settings

logger = logging.getLogger(__name__)

ERASURE = "erasure"
"""The folder of requests under way, which name their users until they are done, and of the record of what was done."""
_PARTS = ("-wal", "-shm", "-journal")
"""Ends of the names of SQLite's files beside a database: they are read and emptied with it."""


@dataclass(frozen=True)
class Kind:
    """How users are found in a kind of file, as lines for people, and taken out; None where its bytes are fixed."""

    find: Callable[[Path, People], list[str]]
    erase: Callable[[Path, People], int] | None


_UNREADABLE = (OSError, ValueError, EOFError, pa.ArrowException, sqlite3.Error, duckdb.Error, zipfile.BadZipFile)
"""What readers of broken files raise, and of files that another process holds."""
_TEXT = Kind(texts.find_text, texts.erase_text)
_ARCHIVE = Kind(texts.find_zip, texts.erase_zip)
_SQLITE = Kind(databases.find_sqlite, databases.erase_sqlite)
_OTHER = Kind(texts.find_bytes, None)
_KINDS: dict[str, Kind] = {
    ".parquet": Kind(parquet_files.find, parquet_files.erase),
    ".arrow": Kind(parquet_files.find_arrow, None),
    ".duckdb": Kind(databases.find_duckdb, databases.erase_duckdb),
    ".npy": Kind(texts.find_array, texts.erase_array),
    ".gz": Kind(texts.find_gzip, texts.erase_gzip),
    **dict.fromkeys((".npz", ".zip", ".pt"), _ARCHIVE),
    **dict.fromkeys((*texts.PAGES, *texts.DATA), _TEXT),
}


def find_in_home(settings: Settings, people: People) -> dict[str, list[str]]:
    """Return, by file below the home, what in it names one of the users; files of requests under way do not count."""
    found = {str(path.relative_to(settings.home)): _find(path, people) for path in files_of(settings)}
    return {name: places for name, places in found.items() if places}


def erase_in_home(settings: Settings, people: People, skip: Callable[[Path], bool]) -> dict[str, int]:
    """Take the users out of every file below the home, and return how many rows or mentions went, by top folder.

    Args:
        settings: Names the home.
        people: Whom.
        skip: Says which files are another step's; it takes a path relative to the home.
    """
    counts: dict[str, int] = {}
    for path in files_of(settings):
        name = path.relative_to(settings.home)
        kind = kind_of(path)
        if kind.erase is None or skip(name):
            continue
        try:
            count = kind.erase(path, people)
        except FileNotFoundError:
            continue  # removed meanwhile: what took its place is found by the proof at the end
        except _UNREADABLE as error:
            logger.warning("left %s as it is: %s", name, " ".join(str(error).split()))
            continue
        if count:
            counts[name.parts[0]] = counts.get(name.parts[0], 0) + count
    return counts


def files_of(settings: Settings) -> Iterator[Path]:
    """Yield every file below the home that could name a user, hidden ones and leftovers of killed jobs included."""
    for path in sorted(settings.home.rglob("*")):
        name = path.relative_to(settings.home)
        if name.parts[0] == ERASURE or path.name.endswith(_PARTS) or names_items(path.name):
            continue
        if path.is_file() and not path.is_symlink():
            yield path


def kind_of(path: Path) -> Kind:
    """Return the kind of a file, by its name and, where that says nothing, by its first bytes."""
    if path.suffix in _KINDS:
        return _KINDS[path.suffix]
    with path.open("rb") as file:
        head = file.read(1024)
    if head.startswith(b"SQLite format 3"):
        return _SQLITE
    if head.startswith(b"PAR1"):
        return _KINDS[".parquet"]
    if head.startswith(b"ARROW1"):
        return _KINDS[".arrow"]
    return _OTHER if b"\0" in head else _TEXT


def _find(path: Path, people: People) -> list[str]:
    try:
        return kind_of(path).find(path, people)
    except FileNotFoundError:
        return []
    except _UNREADABLE as error:
        return [f"cannot be read, so nothing is proved: {' '.join(str(error).split())}"]
