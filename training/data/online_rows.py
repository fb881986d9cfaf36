"""Write vectors of one space into Feast's online store, and take the rows of spaces out that are read no more.

Feast has no call that deletes the rows of one space. Its keys start with the names of the join keys and the first
value, which is the space's in every view that has one, so that the rows of a space lie together.
"""

from __future__ import annotations

import logging
import sqlite3
import struct
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.contracts.columns import EVENT_TIMESTAMP, POOLED_FEATURES, USER_EMBEDDING
from training.data.feature_store import feature_store
from training.data.online_guard import forget_slots
from training.locks import lease
from training.settings import Settings

logger = logging.getLogger(__name__)

SPACE_KEYS = {**dict.fromkeys(POOLED_FEATURES, "item_space_id"), USER_EMBEDDING.name: "space_id"}
"""The views that hold rows of several (item) spaces, and the join key that names the space."""
_ROWS_AT_ONCE = 20_000
_STRING = 2


def write_vectors(
    settings: Settings, space_id: str, as_of: datetime, user_ids: Sequence[str], vectors_UZ: npt.NDArray[Any]
) -> int:
    """Write users' vectors, float32 [U, Z], under the key of their space, and return how many rows there were."""
    store = feature_store(settings)
    for start in range(0, len(user_ids), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        frame = pd.DataFrame({"user_id": list(user_ids[rows]), "space_id": space_id, EVENT_TIMESTAMP: as_of})
        frame["vector"] = list(np.asarray(vectors_UZ[rows], dtype=np.float32))
        store.write_to_online_store(USER_EMBEDDING.name, frame)
    return len(user_ids)


def forget_spaces(settings: Settings, view: str, spaces: Sequence[str]) -> None:
    """Remove every online row of `spaces` from a view of `SPACE_KEYS`; a space without rows changes nothing."""
    if not spaces:
        return
    prefixes = [_key_prefix(SPACE_KEYS[view], space) for space in spaces]
    with lease(settings, settings.home / "feast" / ".online.lock"):
        if settings.online_store == "sqlite":
            _forget_in_sqlite(settings.home / "feast" / "online.db", f"attune_{view}", prefixes)
        else:
            _forget_in_redis(settings.online_store, prefixes)
        forget_slots(settings, view, spaces)
    logger.info("removed the online rows of %s in %s", ", ".join(spaces), view)


def _key_prefix(space_key: str, space: str) -> bytes:
    from feast.infra.key_encoding_utils import serialize_entity_key_prefix

    encoded = space.encode()
    names: bytes = serialize_entity_key_prefix([space_key, "user_id"])
    return names + struct.pack("<II", _STRING, len(encoded)) + encoded


def _forget_in_sqlite(path: Path, table: str, prefixes: Sequence[bytes]) -> None:
    with sqlite3.connect(path, timeout=60) as connection:
        if not connection.execute("select 1 from sqlite_master where name = ?", [table]).fetchone():
            return
        for prefix in prefixes:
            connection.execute(
                f'delete from "{table}" where entity_key >= ? and entity_key < ?', [prefix, prefix + b"\xff" * 8]
            )


def _forget_in_redis(url: str, prefixes: Sequence[bytes]) -> None:
    import redis

    with redis.Redis.from_url(url) as client:
        for prefix in prefixes:
            pattern = b"".join(b"\\" + bytes([byte]) if byte in b"*?[]\\^" else bytes([byte]) for byte in prefix)
            for keys in _chunks(list(client.scan_iter(pattern + b"*", count=10_000)), 1_000):
                client.unlink(*keys)


def _chunks(keys: list[Any], size: int) -> list[list[Any]]:
    return [keys[start : start + size] for start in range(0, len(keys), size)]
