"""Choose how snapshots reach Feast's online store: in bulk where its formats are known, else by Feast's own writer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from training.contracts.errors import AttuneError
from training.data.online.feast_bytes import ENTITY_KEY_VERSION, FEAST_VERSION
from training.data.online.sqlite_writer import SqliteWriter

if TYPE_CHECKING:
    from feast import FeatureStore

logger = logging.getLogger(__name__)
_KNOWN_STORES: tuple[dict[str, Any], ...] = ({"type": "sqlite"}, {"type": "redis", "skip_dedup": True})
"""Online stores whose bytes are known, with every option besides their address: others change what is written."""


class OnlineWriter(Protocol):
    """Write rows of a feature view to an online store and take them away again."""

    def write(self, view: str, blocks: Iterable[pa.RecordBatch]) -> int:
        """Serve the rows of every block, over what their keys served before, and return how many there were."""
        ...

    def delete_keys(self, view: str, keys: Iterable[pa.RecordBatch]) -> int:
        """Serve nothing of a view any more for some keys, and return how many were given.

        Args:
            view: Name of the feature view; what other views serve for the same keys stays.
            keys: Blocks with the columns of the view's key; others are not looked at. Unknown keys are passed over.
        """
        ...

    def num_served(self, view: str, keys: Iterable[pa.RecordBatch]) -> int:
        """Return for how many of some keys a view serves something; none where it was never declared."""
        ...

    def keep_only(self, view: str, slot: str, kept: Iterable[pa.RecordBatch]) -> int:
        """Serve nothing of a view any more but for the keys of `kept`, and return how many are served no more.

        Args:
            view: Name of the feature view.
            slot: The (item) space of a view that has rows of several, `WHOLE_VIEW` of another; other slots stay.
            kept: Blocks with the columns of the view's key.
        """
        ...


class FeastWriter:
    """Feast's own writer, a block at a time: the reference, and the way out where its formats are not known."""

    def __init__(self, store: FeatureStore, bulk: OnlineWriter | None) -> None:
        self._store = store
        self._bulk = bulk

    def write(self, view: str, blocks: Iterable[pa.RecordBatch]) -> int:
        """Serve the rows; a failure leaves the blocks before it served."""
        rows = 0
        for block in blocks:
            self._store.write_to_online_store(view, block.to_pandas())
            rows += len(block)
        return rows

    def delete_keys(self, view: str, keys: Iterable[pa.RecordBatch]) -> int:
        """Serve nothing for the keys; Feast has no such call, so the formats must be known.

        Raises:
            AttuneError: They are not.
        """
        return self._known(view).delete_keys(view, keys)

    def num_served(self, view: str, keys: Iterable[pa.RecordBatch]) -> int:
        """Return how many keys serve something; as `delete_keys`."""
        return self._known(view).num_served(view, keys)

    def keep_only(self, view: str, slot: str, kept: Iterable[pa.RecordBatch]) -> int:
        """Serve nothing else; as `delete_keys`."""
        return self._known(view).keep_only(view, slot, kept)

    def _known(self, view: str) -> OnlineWriter:
        if self._bulk is None:
            raise AttuneError(
                f"expected Feast {FEAST_VERSION} to delete keys of {view} from its online store, found "
                f"{metadata.version('feast')} or options unknown here; install requirements.lock"
            )
        return self._bulk


def online_writer(config: Mapping[str, Any], choice: str, open_store: Callable[[], FeatureStore]) -> OnlineWriter:
    """Return the writer of the store that `config` describes; one line warns where bulk was chosen and cannot be.

    Args:
        config: Feast's repository configuration: project, registry, online store.
        choice: "bulk" or "feast".
        open_store: Opens Feast, which takes seconds; called only where Feast writes.
    """
    unknown = _unknown_formats(config)
    bulk = None if unknown else _bulk_writer(config)
    if bulk is not None and choice == "bulk":
        return bulk
    if choice == "bulk":
        logger.warning("expected %s, found %s; Feast's own writer is used, which is slower", *unknown[0])
    return FeastWriter(open_store(), bulk)


def _bulk_writer(config: Mapping[str, Any]) -> OnlineWriter:
    online = config["online_store"]
    if online["type"] == "sqlite":
        return SqliteWriter(online["path"], config["project"])
    from training.data.online.redis_writer import RedisWriter

    return RedisWriter(online["connection_string"], config["project"])


def _unknown_formats(config: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Return what is expected and found instead, of everything on which Feast's bytes depend."""
    online = {k: v for k, v in config["online_store"].items() if k not in ("path", "connection_string")}
    version, key_version = metadata.version("feast"), config["entity_key_serialization_version"]
    versioned = config["registry"].get("enable_online_feature_view_versioning", False)
    checks = [
        (f"Feast {FEAST_VERSION}", version, version == FEAST_VERSION),
        (f"entity keys of version {ENTITY_KEY_VERSION}", key_version, key_version == ENTITY_KEY_VERSION),
        ("a plain online store, sqlite or redis", online, online in _KNOWN_STORES),
        ("online feature views without versions", "versions", not versioned),
    ]
    return [(what, found) for what, found, known in checks if not known]
