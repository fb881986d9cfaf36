"""Find and take out users in text, in what is packed with gzip or zip, and in NumPy arrays of text.

Text is overwritten where it lies, each mention by as many stars: whoever has a log open goes on writing into it, and a
kill in the middle leaves a file that is half done, never one that is half there.
"""

from __future__ import annotations

import gzip
import io
import json
import mmap
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from serving_export.erasure.people import People, mask
from training.storage import replace_file

PAGES = (".html", ".md", ".txt", ".log", ".out", ".err")
DATA = (".json", ".jsonl", ".csv", ".tsv", ".yaml", ".yml", ".toml", ".sql", ".inter", ".dat", ".data")


def find_text(path: Path, people: People) -> list[str]:
    """Return how often a text file names one of the users."""
    content = path.read_bytes()
    count = len(_pattern(path, people).findall(content))
    return _told(count or (_num_listed(content, people) if path.suffix == ".json" else 0))


def erase_text(path: Path, people: People) -> int:
    """Overwrite each mention in place and return how many there were."""
    if not path.stat().st_size:
        return 0
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        places = [found.span() for found in _pattern(path, people).finditer(content)]
        for start, end in places:
            content[start:end] = b"*" * (end - start)
        if places:
            content.flush()
    return len(places)


def find_bytes(path: Path, people: People) -> list[str]:
    """Return how often the bytes of a file of an unknown kind name one of the users."""
    return _told(len(people.in_bytes.findall(path.read_bytes())))


def find_gzip(path: Path, people: People) -> list[str]:
    """Return how often what a gzip file holds names one of the users."""
    return _told(len(people.in_pages.findall(gzip.decompress(path.read_bytes()))))


def erase_gzip(path: Path, people: People) -> int:
    """Pack the content again with each mention made illegible, and return how many there were."""
    content = gzip.decompress(path.read_bytes())
    count = len(people.in_pages.findall(content))
    if count:
        with replace_file(path) as temporary:
            temporary.write_bytes(gzip.compress(mask(people.in_pages, content), mtime=0))
    return count


def find_zip(path: Path, people: People) -> list[str]:
    """Return which members of an archive name one of the users; arrays of numbers hold no names."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    return [f"member {name}" for name, content in contents.items() if _of_member(name, content, people)]


def erase_zip(path: Path, people: People) -> int:
    """Write an archive anew with each mention made illegible, and return how many members had one."""
    named = find_zip(path, people)
    if not named:
        return 0
    with (
        zipfile.ZipFile(path) as archive,
        replace_file(path) as temporary,
        zipfile.ZipFile(temporary, "w") as target,
    ):
        for member in archive.infolist():
            content = archive.read(member)
            is_named = f"member {member.filename}" in named
            target.writestr(member, _erased_member(content, people) if is_named else content)
        target.close()
    return len(named)


def find_array(path: Path, people: People) -> list[str]:
    """Return how many cells of an array of text name one of the users."""
    cells = _cells(path.read_bytes())
    return _told(sum(cell in people.ids for cell in cells.ravel().tolist())) if cells is not None else []


def erase_array(path: Path, people: People) -> int:
    """Empty the cells of an array of text that name one of the users, and return how many there were."""
    content = path.read_bytes()
    if (count := len(find_array(path, people))) > 0:
        with replace_file(path) as temporary:
            temporary.write_bytes(_erased_array(content, people))
    return count


def _pattern(path: Path, people: People) -> re.Pattern[bytes]:
    return people.in_pages if path.suffix in PAGES else people.in_data


def _num_listed(content: bytes, people: People) -> int:
    """Return how many of the users JSON lists as users: ids that are lists of users, however plain."""
    try:
        values = json.loads(content)
    except ValueError:
        return 0
    return sum(cell in people.ids for cell in _listed(values, is_of_users=False))


def _listed(value: Any, *, is_of_users: bool) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _listed(inner, is_of_users=key in ("user_id", "user_ids", "users"))
    elif isinstance(value, list):
        for inner in value:
            yield from _listed(inner, is_of_users=is_of_users)
    elif is_of_users and isinstance(value, str):
        yield value


def _told(count: int) -> list[str]:
    return [f"{count} times"] if count else []


def _of_member(name: str, content: bytes, people: People) -> bool:
    if name.endswith(".npy"):
        cells = _cells(content)
        return cells is not None and any(cell in people.ids for cell in cells.ravel().tolist())
    return people.in_bytes.search(content) is not None and "/data/" not in name


def _erased_member(content: bytes, people: People) -> bytes:
    return mask(people.in_data, content) if _cells(content) is None else _erased_array(content, people)


def _cells(content: bytes) -> np.ndarray | None:
    """Return an array of text as str, None where the array holds anything else."""
    if not content.startswith(b"\x93NUMPY"):
        return None
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except ValueError:
        return None
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8", "replace")
    return array if array.dtype.kind == "U" else None


def _erased_array(content: bytes, people: People) -> bytes:
    array = np.load(io.BytesIO(content), allow_pickle=False)
    cells = _cells(content)
    assert cells is not None
    array[np.isin(cells, sorted(people.ids))] = array.dtype.type()
    target = io.BytesIO()
    np.save(target, array, allow_pickle=False)
    return target.getvalue()
