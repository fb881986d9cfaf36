"""Keep a list of what each import wrote, so that the next one of the same source leaves nothing of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from training.contracts.partitions import Partition
from training.ingest.column_map import ColumnMap
from training.ingest.day_files import DayFiles
from training.settings import Settings
from training.storage import write_json


def import_name(settings: Settings, source: Path, format: str) -> str:
    """Return the stem of a source's files: its format or, where another source has that name here, a longer one."""
    found = _read(_path(settings, format))
    if found is None or found["source"] == str(source.resolve()):
        return format
    return f"{format}-{hashlib.blake2b(str(source.resolve()).encode(), digest_size=4).hexdigest()}"


def fingerprint(columns: ColumnMap, paths: Iterable[Path]) -> str:
    """Return a hash of how a source is read and of its files, by size and time of change."""
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(paths)]
    return hashlib.blake2b(json.dumps([columns.model_dump_json(), stats]).encode(), digest_size=16).hexdigest()


class Manifest:
    """The list of what one source's import wrote: `raw/.imports/<name>.json`."""

    def __init__(self, settings: Settings, files: DayFiles, source: Path, content: str) -> None:
        self._path = _path(settings, files.name)
        self._files = files
        self._source = str(source.resolve())
        self._content = content
        before = _read(self._path)
        self._is_same = before is not None and before["content"] == content and before["is_whole"]

    def begin(self) -> None:
        """Say that this source is being written: whatever bears its name is its own, and not yet whole."""
        if not self._is_same:
            self._write(is_whole=False)

    def finish(self, until: Partition | None) -> None:
        """Remove what an earlier import wrote and this one did not, mark the days, and list the files.

        Days after `until` stay if they are of the same content.
        """
        self._files.remove_others(until if self._is_same else None)
        self._files.mark()
        self._write(is_whole=True)

    def _write(self, is_whole: bool) -> None:
        values: dict[str, Any] = {"source": self._source, "content": self._content, "is_whole": is_whole}
        write_json({**values, "files": self._files.listed()}, self._path)


def _path(settings: Settings, name: str) -> Path:
    return settings.home / "raw" / ".imports" / f"{name}.json"


def _read(path: Path) -> dict[str, Any] | None:
    found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found
