"""Find the files of each table of a log: those the column map names, else those whose name or columns tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from training.contracts.columns import RAW_INTERACTIONS, RAW_ITEMS, RAW_USERS
from training.contracts.errors import AttuneError, MissingArtefact
from training.ingest.column_map import ColumnMap
from training.ingest.column_names import FILE_STEMS, guess
from training.ingest.source_tables import peek_columns
from training.ingest.sources import is_guessed
from training.ingest.staging import Workspace

_NEEDED = {"user_id", "item_id", "occurred_at"}


@dataclass(frozen=True)
class SourceFiles:
    """The files of a log by table, and those that no table reads."""

    tables: dict[str, list[Path]]
    unread: tuple[str, ...]


def find_files(place: Workspace, folder: Path, columns: ColumnMap, is_all_needed: bool = True) -> SourceFiles:
    """Return the files of a log in a folder, or of one file.

    Args:
        place: Where files are opened to look at their columns.
        folder: The log's folder, or its one file of interactions.
        columns: The column map.
        is_all_needed: Whether every file that the map names must be there, and files of users and items that it does
            not name are looked for; False for a shipped layout.

    Raises:
        MissingArtefact: No file of interactions is there, or one that the map names is not.
        AttuneError: Several files look like interactions.
    """
    base = folder.parent if folder.is_file() else folder
    tables: dict[str, list[Path]] = {}
    for table in (RAW_USERS.name, RAW_ITEMS.name):
        found = named_files(base, columns.of(table).file, table, is_all_needed)
        if found:
            tables[table] = found
    named = named_files(base, columns.interactions.file, RAW_INTERACTIONS.name, is_all_needed)
    taken = {path for paths in tables.values() for path in paths}
    if folder.is_file():
        named = named or [folder]
    others = [path for path in sorted(base.glob("*")) if is_guessed(path) and path not in taken]
    events = named or [_interactions(place, base, others, columns)]
    for table in (RAW_USERS.name, RAW_ITEMS.name):
        if table not in tables and is_all_needed:
            side = _by_stem(table, [path for path in others if path not in events])
            if side is not None:
                tables[table] = [side]
    tables[RAW_INTERACTIONS.name] = events
    read = {path for paths in tables.values() for path in paths}
    return SourceFiles(tables, tuple(path.name for path in others if path not in read))


def named_files(folder: Path, patterns: tuple[str, ...], table: str, is_needed: bool) -> list[Path]:
    """Return the files that names or globs of a map stand for, each once, by pattern and name.

    Raises:
        MissingArtefact: A needed pattern stands for none.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        matching = [path for path in sorted(folder.glob(pattern)) if path.is_file()]
        if not matching and is_needed:
            raise MissingArtefact(
                f"expected a file at {folder / pattern}, found none; correct {table}.file in the column map"
            )
        found |= dict.fromkeys(matching)
    return list(found)


def _interactions(place: Workspace, folder: Path, files: list[Path], columns: ColumnMap) -> Path:
    candidates = [path for path in files if _looks_like_interactions(place, path, columns)]
    if len(candidates) > 1:
        names = ", ".join(path.name for path in candidates)
        raise AttuneError(
            f"expected one file of interactions in {folder}, found {len(candidates)} that look like it: {names}; name "
            f"the one in the column map (COLUMNS=map.yaml): interactions: {{file: {candidates[0].name}}}, or list "
            f"them all: {{file: [{names}]}}"
        )
    if candidates:
        return candidates[0]
    by_stem = _by_stem(RAW_INTERACTIONS.name, files)
    if by_stem is not None:
        return by_stem
    if len(files) == 1:
        return files[0]
    there = sorted(path.name for path in folder.iterdir() if path.is_file())
    raise MissingArtefact(
        f"expected a .csv, .parquet or .jsonl of interactions in {folder}, found {', '.join(there[:10]) or 'no file'}; "
        "name it in the column map (COLUMNS=map.yaml): interactions: {file: <name>}, an archive unpacked"
    )


def _looks_like_interactions(place: Workspace, path: Path, columns: ColumnMap) -> bool:
    try:
        names = peek_columns(place.connection, path, columns.interactions)
    except AttuneError:
        return False
    named = {target: name for target, name in columns.interactions.named.items() if name in names}
    found = {*guess(RAW_INTERACTIONS.name, names, named).values(), *columns.constants}
    return found >= _NEEDED


def _by_stem(table: str, files: list[Path]) -> Path | None:
    for stem in FILE_STEMS[table]:
        for path in files:
            if path.name.split(".")[0].lower() == stem:
                return path
    return None
