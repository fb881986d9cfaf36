"""Hold the files of a snapshot against its manifest: by length in an instant, by checksum byte for byte.

Standard library and `training.contracts` only, as a lookup needs it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from training.contracts.errors import AttuneError

MANIFEST = "manifest.json"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(folder: Path) -> None:
    """Hold every file of a snapshot against its manifest's checksum.

    Raises:
        AttuneError: A file is missing or its bytes differ.
    """
    for name, entry in json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"].items():
        found = sha256(folder / name) if (folder / name).exists() else "no file"
        if found != entry["sha256"]:
            raise _broken(f"sha256 {entry['sha256'][:12]}", found[:12], folder, name)


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
