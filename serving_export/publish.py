"""Write a packed snapshot whole or not at all; what is served changes only when the pointer moves (`flip`).

The folder's name carries a hash of its content, without times, so that publishing the same again writes nothing.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving_export.checksum import MANIFEST, describe, verify
from serving_export.index import write_index
from serving_export.vector_loss import measure_losses
from serving_export.vectors import ConsumerVectors, FrameVectors, SpaceVectors, check_space
from training.contracts.consumers import POPULARITY
from training.registry.pointer import PublishedSnapshot
from training.settings import Settings
from training.storage import new_dir, write_json

logger = logging.getLogger(__name__)


def publish(
    settings: Settings,
    space: SpaceVectors,
    consumers: Sequence[ConsumerVectors] = (),
    lineage: dict[str, Any] | None = None,
    frame: FrameVectors | None = None,
) -> PublishedSnapshot:
    """Write a snapshot below `published/<space_id>/` and return the reference to it; nothing is served yet.

    Args:
        settings: Where state lives.
        space: Checked vectors of every user of the space.
        consumers: Vectors of each consumer's model of that same space.
        lineage: What the snapshot was made from, kept in its manifest.
        frame: The frame that the space's vectors are turned into besides; None where they are not.

    Raises:
        SpaceMismatch: A consumer's model was trained on another space.
        AttuneError: A snapshot of that content is there, but its bytes have changed since.
    """
    check_space(space, consumers)
    arrays = _arrays(space, consumers) | (frame.arrays(space.vectors_UZ) if frame else {})
    path = Path(space.space_id) / f"dt={space.partition}.{content_hash(space, consumers, arrays)}"
    target = settings.published_dir / path
    if target.exists():
        verify(target)
        logger.info("snapshot %s is already there", path)
    else:
        with new_dir(target) as folder:
            indexes = _write(folder, arrays, consumers)
            manifest = _manifest(folder, space, consumers, indexes, lineage or {})
            framed = {"frame": {"frame_id": frame.frame_id, **frame.about}} if frame else {}
            write_json(manifest | framed, folder / MANIFEST)
    return PublishedSnapshot(
        space_id=space.space_id,
        partition=str(space.partition),
        path=str(path),
        consumers=_models(consumers),
        frame=frame.frame_id if frame else "",
    )


def content_hash(space: SpaceVectors, consumers: Sequence[ConsumerVectors], arrays: dict[str, NDArray[Any]]) -> str:
    """Return 8 hex digits over the space, the partition, the model versions and every array."""
    digest = hashlib.sha256(f"{space.space_id} {space.partition} {sorted(_models(consumers).items())}".encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data if array.size else b"")
    return digest.hexdigest()[:8]


def _arrays(space: SpaceVectors, consumers: Sequence[ConsumerVectors]) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"user_ids": space.user_ids, "vectors": space.vectors_UZ}
    if space.is_virtual is not None:
        arrays["is_virtual"] = space.is_virtual
    for consumer in consumers:
        prefix = f"consumers/{consumer.model.consumer}"
        arrays |= {f"{prefix}/{name}": array for name, array in consumer.arrays().items()}
    if consumers:
        widest = max(consumers, key=lambda consumer: consumer.seen_UI.nnz)
        arrays |= {f"{POPULARITY}/{name}": array for name, array in widest.popularity().items()}
    return arrays


def _write(
    folder: Path, arrays: dict[str, NDArray[Any]], consumers: Sequence[ConsumerVectors]
) -> dict[str, dict[str, Any]]:
    """Write arrays and indexes, and return how each side of each consumer answers."""
    for name, array in arrays.items():
        path = folder / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array, allow_pickle=False)
    return {c.model.consumer: _write_indexes(folder / "consumers" / c.model.consumer, c) for c in consumers}


def _write_indexes(folder: Path, consumer: ConsumerVectors) -> dict[str, Any]:
    users, items = consumer.user_vectors, consumer.item_vectors_ID
    return {"users": write_index(folder, "user", items, users), "items": write_index(folder, "item", users, items)}


def _manifest(
    folder: Path,
    space: SpaceVectors,
    consumers: Sequence[ConsumerVectors],
    indexes: dict[str, dict[str, Any]],
    lineage: dict[str, Any],
) -> dict[str, Any]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "space_id": space.space_id,
        "partition": str(space.partition),
        "as_of": space.partition.as_of.isoformat(),
        "num_users": len(space.user_ids),
        "dimension": int(space.vectors_UZ.shape[1]),
        "losses": measure_losses(space.vectors_UZ),
        "consumers": {c.model.consumer: _described(c, indexes[c.model.consumer]) for c in consumers},
        "files": {str(p.relative_to(folder)): describe(p) for p in files},
        "lineage": lineage,
    }


def _described(consumer: ConsumerVectors, indexes: dict[str, Any]) -> dict[str, Any]:
    return consumer.model.to_dict() | {
        "indexes": indexes,
        "num_users": len(consumer.user_ids),
        "num_items": len(consumer.item_ids),
        "num_vectors_per_user": consumer.num_vectors,
        "num_seen": int(consumer.seen_UI.nnz),
        "dimension": int(consumer.item_vectors_ID.shape[1]),
    }


def _models(consumers: Sequence[ConsumerVectors]) -> dict[str, dict[str, str]]:
    return {c.model.consumer: {"version": c.model.version, "space_id": c.model.space_id} for c in consumers}
