"""Keep results by what they depend on: content of the data, code and configuration."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from training.storage import write_json

logger = logging.getLogger(__name__)

LIBRARIES = ("implicit", "numpy", "scipy", "torch")


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that results depend on."""
    return {name: version(name) for name in LIBRARIES}


def code_hash(packages: Iterable[str]) -> str:
    """Return 12 hex digits of the source of modules and packages, whole packages included, by dotted name."""
    digest = hashlib.sha256()
    for name in sorted(set(packages)):
        for path in _sources(name):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _sources(name: str) -> list[Path]:
    spec = importlib.util.find_spec(name)
    assert spec is not None, name
    if spec.submodule_search_locations:
        return [path for folder in spec.submodule_search_locations for path in sorted(Path(folder).rglob("*.py"))]
    assert spec.origin is not None, name
    return [Path(spec.origin)]


@dataclass(frozen=True)
class Cache:
    """JSON results below `folder`, one file each; a change of any part of the key computes anew."""

    folder: Path

    def get(self, name: str, key: dict[str, Any], compute: Callable[[], Any]) -> Any:
        """Return the JSON value kept under (name, key), computing and keeping it when there is none.

        Args:
            name: Readable part of the file name.
            key: JSON values that the result depends on: data hash, code hash, versions, configuration, seeds.
            compute: Gives JSON values.
        """
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
        path = self.folder / f"{_file_name(name)}-{digest}.json"
        if path.exists():
            logger.info("%s: kept from an earlier run", name)
        else:
            write_json({"key": key, "value": compute()}, path)
        # Read back even when just computed: a tuple that JSON makes a list is the same value either way.
        return json.loads(path.read_text(encoding="utf-8"))["value"]


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-")
