"""Compute the vectors that a consumer's model adds to a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from serving_export.packed import pack_ids
from serving_export.vectors import ConsumerVectors
from training.contracts.artefacts import ModelRef
from training.contracts.errors import SpaceMismatch
from training.contracts.partitions import Partition
from training.settings import Settings

if TYPE_CHECKING:
    from training.consumers.base import ConsumerSides


def consumer_vectors(settings: Settings, model: ModelRef, partition: Partition) -> ConsumerVectors:
    """Return a consumer's vectors made by one of its models from the data of a partition.

    Raises:
        SpaceMismatch: The model itself names another space than the ledger does.
        MissingArtefact: The model, or the data of the partition in that space, is not there.
    """
    from training.consumers.base import consumer_named

    folder = settings.model_dir(model.consumer, model.version)
    return arrange(model, consumer_named(model.consumer).vectors(settings, folder, partition))


def arrange(model: ModelRef, sides: ConsumerSides) -> ConsumerVectors:
    """Return a model's sides under external ids, with who has interacted with what as a sparse table.

    Raises:
        SpaceMismatch: The sides are of another space than is recorded of the model.
    """
    if sides.space_id != model.space_id:
        where = f"{model.consumer} {model.version}"
        raise SpaceMismatch(model.space_id, sides.space_id or "none", where, f"train {model.consumer} again")
    pairs = np.ones(len(sides.user_idx), dtype=np.bool_), (sides.user_idx, sides.item_idx)
    virtual = None if sides.virtual_idx is None else [sides.users.ids[row] for row in sides.virtual_idx.tolist()]
    return ConsumerVectors(
        model=model,
        user_ids=pack_ids(sides.users.ids),
        item_ids=pack_ids(sides.items.ids, "item_id"),
        user_vectors=sides.user_vectors,
        item_vectors_ID=sides.item_vectors_ID,
        seen_UI=sparse.csr_array(pairs, shape=(len(sides.users), len(sides.items))),
        virtual_ids=None if virtual is None else pack_ids(virtual),
        virtual_z=sides.virtual_z,
    )
