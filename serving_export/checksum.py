"""Hold the files of a snapshot against its manifest: by length in an instant, by checksum byte for byte.

Standard library and `training.contracts` only, as a lookup needs it.
"""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from training.contracts.errors import AttuneError

MANIFEST = "manifest.json"
BLOCK_BYTES = 2**25
"""Of a large file, what one core verifies at a time."""
_PIECE_BYTES = 2**20


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe(path: Path) -> dict[str, Any]:
    """Return what a manifest keeps of a file: its length, its checksum, and of a large one a checksum per block.

    Blocks let several cores verify one file at once; the checksum of the whole is for other tools.
    """
    size = path.stat().st_size
    whole = {"sha256": sha256(path), "bytes": size}
    if size <= BLOCK_BYTES:
        return whole
    starts = range(0, size, BLOCK_BYTES)
    return {**whole, "blocks": [_digest(path, start, start + BLOCK_BYTES >= size) for start in starts]}


def verify(folder: Path) -> None:
    """Hold every file of a snapshot against its manifest's checksums, on every core at once.

    Raises:
        AttuneError: A file is missing or its bytes differ.
    """
    files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    parts = [(folder / name, *part) for name, entry in files.items() for part in _parts(entry)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for (path, _, _, expected), found in zip(parts, pool.map(_found, parts), strict=True):
            if found != expected:
                raise _broken(f"sha256 {expected[:12]}", found[:12], folder, str(path.relative_to(folder)))


def _parts(entry: dict[str, Any]) -> list[tuple[int, bool, str]]:
    """Return start, whether it is the last, and checksum of each block of a file; a small one is one block."""
    blocks = entry.get("blocks") or [entry["sha256"]]
    return [(number * BLOCK_BYTES, number == len(blocks) - 1, block) for number, block in enumerate(blocks)]


def _found(part: tuple[Path, int, bool, str]) -> str:
    path, start, is_last, _ = part
    return _digest(path, start, is_last) if path.exists() else "no file"


def _digest(path: Path, start: int, is_last: bool) -> str:
    """Return the SHA-256 of the block that starts at a byte; the last one goes on to the end of the file."""
    digest, left = hashlib.sha256(), BLOCK_BYTES
    with path.open("rb") as file:
        file.seek(start)
        while piece := file.read(_PIECE_BYTES if is_last else min(left, _PIECE_BYTES)):
            digest.update(piece)  # other threads go on meanwhile
            left -= len(piece)
    return digest.hexdigest()


def require_lengths(folder: Path, manifest: dict[str, Any]) -> None:
    """Hold every file against its length in the manifest, which a write that was cut short does not have.

    Raises:
        FileNotFoundError: A file is missing.
        AttuneError: A file is shorter or longer.
    """
    for name, entry in manifest["files"].items():
        found = (folder / name).stat().st_size
        if found != entry["bytes"]:
            raise _broken(f"{entry['bytes']} bytes", f"{found}", folder, name)


def _broken(expected: str, found: str, folder: Path, name: str) -> AttuneError:
    remedy = f"roll back, then delete {folder.name} and refresh that partition again"
    return AttuneError(f"expected {expected}, found {found} at {folder / name}; {remedy}")
