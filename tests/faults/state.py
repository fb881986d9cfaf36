"""What a job leaves: what lookups answer, and every byte of a home but the times and names that differ by nature."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

ANYTHING_ELSE = 71


def in_child(work: Callable[[], Any]) -> Any:
    """Return what `work` returns, as JSON would, from a child: a reader that was not there before."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            with os.fdopen(write, "w") as pipe:
                try:
                    found = {"value": work()}
                except Exception as error:
                    found = {"error": f"{type(error).__name__}: {error}"}
                json.dump(found, pipe, sort_keys=True)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        told = json.load(pipe)
    os.waitpid(child, 0)
    return told.get("value", told)


def answers(published: Path) -> dict[str, Any]:
    """Return what a reader gets now: for every served snapshot its vectors, and items for some users, as digests."""
    from serving_export.checksum import verify
    from serving_export.lookup import EmbeddingStore
    from serving_export.packed import unpack_ids
    from training.registry.pointer import find_pointer

    pointer = find_pointer(published)
    if pointer is None:
        return {}
    found: dict[str, Any] = {"pins": pointer.pins, "live": pointer.live.path}
    for entry in pointer.snapshots:
        verify(published / entry.path)
        store = EmbeddingStore(published, space_id=entry.space_id)
        users = unpack_ids(store.snapshot.user_ids)
        result = store.lookup(users, "ignore")
        known = [user for user in users if user not in result.unknown]
        found[entry.path] = [len(known), _digest(result.vectors.tobytes())]
        for consumer in sorted(entry.consumers):
            found[f"{entry.path} {consumer}"] = _digest(json.dumps(_ranked(store, consumer, known)).encode())
    return found


def _ranked(store: Any, consumer: str, users: list[str]) -> list[Any]:
    some = users[:: max(1, len(users) // 5)]
    return [list(store.recommend(user, 5, consumer=consumer, on_unknown="popularity").ids) for user in some]


def contents(home: Path) -> dict[str, str]:
    """Return a digest of every file below a home that is compared, and of every row of its databases."""
    found = {}
    for path in sorted(home.rglob("*")):
        name = str(path.relative_to(home))
        if path.is_dir() or _BY_NATURE.search(name):
            continue
        reader = next((reader for pattern, reader in _READERS if pattern.search(name)), None)
        found[_ID.sub("RUN", name)] = _digest(reader(path) if reader else path.read_bytes())
    return found | {f"rows {name}": _digest(rows.encode()) for name, rows in _databases(home).items()}


def leftovers(home: Path) -> list[Path]:
    """Return what is there under temporary names."""
    return sorted(path for path in home.rglob(".*") if re.search(r"\.[0-9a-f]{8}$|\.draft\.", path.name))


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Return what differs between two states, by name."""
    missing = [f"lacks {name}" for name in other if name not in one]
    more = [f"has {name} besides" for name in one if name not in other]
    return missing + more + [f"another {name}" for name in one if name in other and one[name] != other[name]]


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:16]


_BY_NATURE = re.compile(
    r"^warehouse/|(^|/)\.[^/]*lock$|\.db(-journal|-wal|-shm)?$|^reports/|^mlflow/|^logs/|^feast/.*\.lock$"
)
"""Files that hold times, run ids or locks; databases are compared by their rows."""
_ID = re.compile(r"\b[0-9a-f]{32}\b")
_TIMES = re.compile(r'"[a-z_]*(_at|_on|started|finished|seconds|run_id)": ("[^"]*"|[0-9.e+-]+)')


def _without_times(path: Path) -> bytes:
    return _ID.sub("RUN", _TIMES.sub("", path.read_text())).encode()


_READERS: tuple[tuple[re.Pattern[str], Callable[[Path], bytes]], ...] = ((re.compile(r"\.json$"), _without_times),)
_COLUMNS_BY_NATURE = (
    "sequence",
    "recorded_at",
    "created_at",
    "created_ts",
    "updated_at",
    "closed_at",
    "event_at",
    "at",
)


def _databases(home: Path) -> dict[str, str]:
    """Return the rows of the ledger and of the online store, and what MLflow's aliases name."""
    found = {}
    for path in sorted([home / "ledger.db", *home.glob("feast/*.db")]):
        if path.exists() and "registry" not in path.name:
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
                for (table,) in database.execute("select name from sqlite_master where type = 'table'").fetchall():
                    found[f"{path.name} {table}"] = _rows(database, table)
    return found | _tracked(home)


def _rows(database: sqlite3.Connection, table: str) -> str:
    columns = [row[1] for row in database.execute(f'pragma table_info("{table}")')]
    kept = ", ".join(f'"{name}"' for name in columns if name not in _COLUMNS_BY_NATURE)
    which = "where state = 'open'" if table == "intents" else ""  # the others are an account of what was tried
    rows = sorted(repr(row) for row in database.execute(f'select {kept} from "{table}" {which}'))
    return _TIMES.sub("", "\n".join(rows))


def _tracked(home: Path) -> dict[str, str]:
    path = home / "mlflow" / "mlflow.db"
    if not path.exists():
        return {}
    query = (
        "select a.name, a.alias, t.key, t.value from registered_model_aliases a join model_version_tags t "
        "on t.name = a.name and t.version = a.version"
    )
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        rows = sorted(repr(row) for row in database.execute(query))
    return {"mlflow aliases": _ID.sub("RUN", "\n".join(rows))}
