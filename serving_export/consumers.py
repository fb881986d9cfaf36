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
    from training.data.matching_set import MatchingData
    from training.models.matching import MatchingModel


def consumer_vectors(settings: Settings, model: ModelRef, partition: Partition) -> ConsumerVectors:
    """Return a consumer's vectors made by one of its models from the data of a partition.

    Raises:
        SpaceMismatch: The model's own manifest names another space than the ledger does.
        MissingArtefact: The model, or the data of the partition in that space, is not there.
    """
    from training.recipes.matching import MatchingModel, build_dataset

    loaded = MatchingModel.load(settings.model_dir(model.consumer, model.version))
    if loaded.space_id != model.space_id:
        where = str(settings.model_dir(model.consumer, model.version))
        raise SpaceMismatch(model.space_id, loaded.space_id or "none", where, f"train {model.consumer} again")
    return arrange(model, loaded, build_dataset(settings, partition, model.space_id))


def arrange(model: ModelRef, loaded: MatchingModel, data: MatchingData) -> ConsumerVectors:
    """Return both sides of a `matching` model on a data set, and who has interacted with what.

    Raises:
        SpaceMismatch: The data holds vectors of another space than the model reads.
    """
    pairs = np.ones(len(data.user_idx), dtype=np.bool_), (data.user_idx, data.item_idx)
    return ConsumerVectors(
        model=model,
        user_ids=pack_ids(data.users.ids),
        item_ids=pack_ids(data.items.ids, "item_id"),
        user_vectors_UD=loaded.user_vectors(data),
        item_vectors_ID=loaded.item_vectors(data),
        seen_UI=sparse.csr_array(pairs, shape=(len(data.users), len(data.items))),
    )
