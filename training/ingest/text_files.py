"""Bring a text file to what DuckDB reads: UTF-8, one kind of line end, plain or gzip; else a copy that is.

What is known of a file after one look at all of its bytes: whether quotes occur at all, and how its lines end.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from training.contracts.errors import AttuneError
from training.ingest.sources import COMPRESSED, require_file

_BLOCK = 1 << 22
_HEAD = 1 << 18
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UTF8_LETTER = re.compile("[\x80-\ud7ff\ue000-\U0010ffff]")
"""A character beyond ASCII, but none of those by which a byte that is no text is carried on."""
_NATIVE = ("", ".gz", ".zst")
"""Compression that DuckDB reads itself."""
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException)


@dataclass(frozen=True, kw_only=True)
class TextFile:
    """A text file, ready to read.

    Attributes:
        path: As the log has it, for messages.
        readable: What to read: `path`, or its copy in UTF-8 with one kind of line end.
        encoding: What `path` is written in.
        head: Its first characters, decoded, without a byte-order mark; a byte that is no text is U+FFFD.
        quotes: Quote characters that occur in it.
    """

    path: Path
    readable: Path
    encoding: str
    head: str
    quotes: frozenset[str]


def open_text(path: Path, workspace: Path, encoding: str | None, remedy: str) -> TextFile:
    """Return a text file in a form that DuckDB reads.

    Args:
        path: The file; gzip, Zstandard, bzip2, xz and a zip of one file are unpacked.
        workspace: Folder for a copy, where one is needed.
        encoding: What the column map says; None looks at the byte-order mark, else takes UTF-8.
        remedy: Where in the column map an encoding is named, for messages.

    Raises:
        MissingArtefact: There is no such file.
        AttuneError: It is empty, broken, or not written in that encoding.
    """
    head, known = read_head(path, encoding, remedy)
    try:
        seen = _look(path)
    except _BROKEN as error:
        raise _not_whole(path, error) from error
    if seen.is_foreign and known == "utf-8" and not encoding:
        raise AttuneError(f"expected UTF-8 text in {path}, found no letter beyond ASCII that is; {remedy}")
    compression = path.suffix.lower() if path.suffix.lower() in COMPRESSED else ""
    is_native = known in ("utf-8", "utf-8-sig", "ascii") and compression in _NATIVE and not seen.has_odd_lines
    readable = path if is_native else _copied(path, workspace, known, remedy)
    return TextFile(path=path, readable=readable, encoding=known, head=head, quotes=seen.quotes)


def read_head(path: Path, encoding: str | None, remedy: str) -> tuple[str, str]:
    """Return the first characters of a file and what it is written in; see `open_text`."""
    require_file(path, "give a file with rows")
    try:
        with open_bytes(path) as stream:
            start = stream.read(_HEAD)
    except _BROKEN as error:
        raise _not_whole(path, error) from error
    known = _encoding(start, encoding)
    head = _decoded_head(start, known, path, remedy)
    if not head.strip("\ufeff \t\n"):
        raise AttuneError(f"expected rows in {path}, found none; give a file with rows")
    return head, known


def _not_whole(path: Path, error: Exception) -> AttuneError:
    return AttuneError(f"expected a whole file at {path}, found one that does not unpack ({error}); fetch it again")


def open_bytes(path: Path) -> IO[bytes]:
    """Return a file's bytes, unpacked as its name says.

    Raises:
        AttuneError: A zip holds several files.
    """
    suffix = path.suffix.lower()
    if suffix == ".zip":
        archive = zipfile.ZipFile(path)
        members = [name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name]
        if len(members) != 1:
            raise AttuneError(f"expected one file in {path}, found {len(members)}; unpack it and name the folder")
        return archive.open(members[0])
    if suffix == ".gz":
        return cast("IO[bytes]", gzip.GzipFile(path))
    if suffix == ".bz2":
        return bz2.open(path)
    if suffix == ".xz":
        return lzma.open(path)
    if suffix == ".zst":
        stream: IO[bytes] = pa.input_stream(str(path), compression="zstd")
        return stream
    return path.open("rb")


def _encoding(start: bytes, given: str | None) -> str:
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    if given:
        return given
    if len(start) > 3 and start[1:2] == b"\0" and start[3:4] == b"\0":
        return "utf-16-le"
    if len(start) > 3 and start[0:1] == b"\0" and start[2:3] == b"\0":
        return "utf-16-be"
    return "utf-8"


@dataclass(frozen=True)
class _Seen:
    """What all bytes of a file tell.

    Attributes:
        quotes: Quote characters that occur.
        has_odd_lines: Whether lines end in more than one way or in a bare carriage return.
        is_foreign: Whether there are bytes beyond ASCII and none of them is UTF-8: no accident of a row, but another
            encoding, in which every name with an accent would be lost.
    """

    quotes: frozenset[str]
    has_odd_lines: bool
    is_foreign: bool


def _look(path: Path) -> _Seen:
    quotes, returns, line_feeds, pairs, last = set(), 0, 0, 0, b""
    beyond, is_utf8 = False, False
    decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")
    for block in _blocks(path):
        if not is_utf8 and not (block.isascii() and last.isascii()):
            beyond, is_utf8 = True, _UTF8_LETTER.search(decoder.decode(block)) is not None
        quotes |= {mark for mark in ('"', "'") if mark not in quotes and mark.encode() in block}
        if b"\r" in block or last == b"\r":
            returns += block.count(b"\r")
            pairs += block.count(b"\r\n") + (last == b"\r" and block[:1] == b"\n")
        line_feeds += block.count(b"\n")
        last = block[-1:]
    return _Seen(frozenset(quotes), returns > 0 and not (returns == pairs == line_feeds), beyond and not is_utf8)


def _blocks(path: Path) -> Iterator[bytes]:
    with open_bytes(path) as stream:
        while block := stream.read(_BLOCK):
            yield block


def _copied(path: Path, workspace: Path, encoding: str, remedy: str) -> Path:
    """Write a copy in UTF-8 whose lines end in a line feed, and return its path."""
    copy = workspace / f"{len(list(workspace.iterdir()))}-{path.stem}.txt"
    decoder = codecs.getincrementaldecoder(encoding)(errors="surrogateescape" if encoding == "utf-8" else "strict")
    with copy.open("w", encoding="utf-8", errors="surrogateescape", newline="") as target:
        held = ""
        for block in (*_blocks(path), b""):
            try:
                text = held + decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                raise AttuneError(
                    f"expected text in encoding {encoding} in {path}, found other bytes ({error.reason}); {remedy}"
                ) from error
            held = "\r" if block and text.endswith("\r") else ""
            target.write(text.removesuffix(held).replace("\r\n", "\n").replace("\r", "\n"))
    return copy


def _decoded_head(start: bytes, encoding: str, path: Path, remedy: str) -> str:
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    head = decoder.decode(start).replace("\r\n", "\n").replace("\r", "\n")
    if "\ufffd" in head.partition("\n")[0]:
        raise AttuneError(f"expected UTF-8 text in {path}, found other bytes in its first line; {remedy}")
    return head
