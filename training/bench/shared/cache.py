"""Keep results by what they depend on: content of the data, code and configuration."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from pathlib import Path
from typing import Any

from training.storage import write_json

logger = logging.getLogger(__name__)

CODE_SUFFIXES = (".py", ".sql", ".yml", ".yaml", ".csv")
LIBRARIES = ("implicit", "numpy", "scipy", "torch")


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that results depend on."""
    return {name: version(name) for name in LIBRARIES}


def code_hash(*modules: str, folders: Iterable[Path] = ()) -> str:
    """Return 12 hex digits of the source of modules and of all code of their project that they import.

    Args:
        modules: Dotted names, usually the caller's `__name__`; imports within functions count as well.
        folders: Folders of code that is read by name, such as SQL, whole.
    """
    digest = hashlib.sha256()
    for name, path in sorted(import_closure(modules).items()):
        digest.update(name.encode() + path.read_bytes())
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in CODE_SUFFIXES):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def import_closure(modules: Iterable[str]) -> dict[str, Path]:
    """Return file by dotted name of modules and what they import, directly or not, within their top-level packages."""
    projects = {name.partition(".")[0] for name in modules}
    found: dict[str, Path] = {}
    queue = list(modules)
    while queue:
        name = queue.pop()
        if name in found or name.partition(".")[0] not in projects:
            continue
        spec = _spec(name)
        if spec is None or spec.origin is None:
            continue  # not a module: a function or class that is imported from one
        found[name] = Path(spec.origin)
        queue += _imported(ast.parse(found[name].read_bytes()))
    return found


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError:  # its parent is a module, not a package
        return None


def _imported(tree: ast.AST) -> list[str]:
    """Every name that an import statement may load; the parents of a module are loaded with it."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [".".join(parts[:n]) for parts in (name.split(".") for name in names) for n in range(1, len(parts) + 1)]


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
