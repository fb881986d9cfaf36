"""Remove from the online store whom the newest snapshot no longer holds: Feast itself only adds and overwrites.

Keys and fields are those that Feast's own functions make; what differs is how a store lists and removes them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow.parquet as pq

from training.data.online_guard import WHOLE_VIEW

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

_AT_ONCE = 10_000
_OWNER = "user_id"
"""In a view with a snapshot for each (item) space, the join key that is not the space."""


class _Rows(Protocol):
    """The online rows of one view."""

    def entities(self) -> Iterator[bytes]:
        """Yield the entity key of every entity that may have a row, as Feast writes it."""

    def remove(self, keys: Sequence[bytes]) -> None:
        """Remove the view's rows of these entities; those of other views stay."""


def remove_absent(store: FeatureStore, view_name: str, slot: str, snapshot: Path) -> int:
    """Remove the online rows of entities that a complete snapshot does not hold, and return how many had one.

    Args:
        store: The store; its online store is SQLite or speaks the Redis protocol.
        view_name: The view that `snapshot` is of.
        slot: The (item) space of a view that has one snapshot for each; rows of other spaces stay.
        snapshot: What was just written online, whole: a crash in between leaves a row too many, never one too few.
    """
    view = store.get_feature_view(view_name)
    kept = set(_snapshot_keys(store, view, snapshot))
    rows: _Rows = _SqliteRows(store, view) if store.config.online_store.type == "sqlite" else _RedisRows(store, view)
    absent = [key for key in rows.entities() if key not in kept and slot in (WHOLE_VIEW, _slot_of(key))]
    for start in range(0, len(absent), _AT_ONCE):
        rows.remove(absent[start : start + _AT_ONCE])
    return len(absent)


class _SqliteRows:
    """One table for each view, one row for each entity and feature."""

    def __init__(self, store: FeatureStore, view: FeatureView) -> None:
        from feast.infra.online_stores.helpers import compute_table_id

        name = compute_table_id(store.project, view, store.config.registry.enable_online_feature_view_versioning)
        self._path, self._table = store.config.online_store.path, '"' + name.replace('"', '""') + '"'
        self._feature = view.features[0].name

    def entities(self) -> Iterator[bytes]:
        with sqlite3.connect(self._path) as connection:
            query = f"select entity_key from {self._table} where feature_name = ?"
            yield from (key for (key,) in connection.execute(query, [self._feature]))

    def remove(self, keys: Sequence[bytes]) -> None:
        with sqlite3.connect(self._path) as connection:
            statement = f"delete from {self._table} where entity_key = ?"
            connection.executemany(statement, [(key,) for key in keys])


class _RedisRows:
    """One hash for each entity, which holds the features of all its views; the project's name ends its key."""

    def __init__(self, store: FeatureStore, view: FeatureView) -> None:
        from feast.infra.online_stores.helpers import _mmh3, _redis_key_prefix, compute_versioned_name

        config = store.config
        name = compute_versioned_name(view, config.registry.enable_online_feature_view_versioning)
        provider: Any = store._get_provider()
        self._client = provider.online_store._get_client(config.online_store)
        self._end = config.project.encode()
        self._pattern = b"".join([_redis_key_prefix(view.join_keys), b"*", self._end])
        self._mark = f"_ts:{name}"
        self._fields = [self._mark, *(_mmh3(f"{name}:{feature.name}") for feature in view.features)]

    def entities(self) -> Iterator[bytes]:
        for key in self._client.scan_iter(self._pattern, count=_AT_ONCE):
            yield key.removesuffix(self._end)

    def remove(self, keys: Sequence[bytes]) -> None:
        with self._client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hdel(key + self._end, *self._fields)
            pipe.execute()


def _snapshot_keys(store: FeatureStore, view: FeatureView, snapshot: Path) -> Iterator[bytes]:
    from feast.infra.key_encoding_utils import serialize_entity_key
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    version = store.config.entity_key_serialization_version
    with pq.ParquetFile(snapshot) as file:
        for batch in file.iter_batches(columns=view.join_keys):
            for values in zip(*(batch[name].to_pylist() for name in view.join_keys), strict=True):
                key = EntityKey(join_keys=view.join_keys, entity_values=[Value(string_val=value) for value in values])
                yield serialize_entity_key(key, entity_key_serialization_version=version)


def _slot_of(key: bytes) -> str:
    from feast.infra.key_encoding_utils import deserialize_entity_key

    found = deserialize_entity_key(key)
    pairs = zip(found.join_keys, found.entity_values, strict=True)
    return next((str(value.string_val) for name, value in pairs if name != _OWNER), WHOLE_VIEW)
