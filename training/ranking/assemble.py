"""Assemble what consumers train on as of a partition: pairs, users' vectors of one space, item vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from training.arrays import Floats
from training.contracts.columns import USER_PROFILE
from training.contracts.partitions import Partition
from training.data.feature_store import read_item_features
from training.data.interactions import epoch_seconds, read_log, values_of
from training.data.vocabulary import Vocabulary
from training.ranking.dataset import EarlierVectors, RankingDataset
from training.representation.item_space import load_item_space
from training.representation.user_space import UserSpace, encode_partition
from training.settings import Settings
from training.storage import list_partitions


def build_dataset(settings: Settings, partition: Partition, space_id: str, *, validate: bool = False) -> RankingDataset:
    """Return what `matching` knows as of a partition: pairs, users' vectors of one space, item vectors.

    Args:
        settings: Home.
        partition: The newest arrival day that may be known.
        space_id: The space of the vectors.
        validate: Whether to add the vectors of an earlier partition to validate on, where one is stored.

    Raises:
        MissingArtefact: The space, or the features of the partition, are not there.
    """
    space = UserSpace.load(settings, space_id)
    user_ids, z_UZ = encode_partition(settings, space_id, partition)
    log = read_log(settings, partition, ("user_id", "item_id", "occurred_at"))
    item_ids = [*read_item_features(settings, partition)["item_id"], *values_of(log["item_id"]).to_pylist()]
    users = Vocabulary([*user_ids, *values_of(log["user_id"]).to_pylist()], "user")
    items = Vocabulary(item_ids, "item")
    held = load_item_space(settings, space.ref.item_space_id)
    data = RankingDataset(
        users=users,
        items=items,
        user_idx=users.encode(log["user_id"]),
        item_idx=items.encode(log["item_id"]),
        occurred_at=epoch_seconds(log["occurred_at"]),
        z_UZ=_aligned(users, user_ids, z_UZ),
        item_vectors_IE=_aligned(items, held.item_ids, held.vectors()),
        as_of=int(partition.as_of.timestamp()),
        space_id=space_id,
    )
    return replace(data, earlier=_earlier(settings, space, data)) if validate else data


def _earlier(settings: Settings, space: UserSpace, data: RankingDataset) -> EarlierVectors | None:
    """Return the vectors of the newest stored partition that ends before the validation cut."""
    if not len(data.occurred_at):
        return None
    cut = data.pairs().instant_at(0.9)
    folder = settings.home / "features" / USER_PROFILE.name
    days = [day for day in list_partitions(folder) if day.as_of.timestamp() <= cut] if folder.is_dir() else []
    if not days:
        return None
    user_ids, z_UZ = encode_partition(settings, space.ref.space_id, days[-1])
    return EarlierVectors(as_of=int(days[-1].as_of.timestamp()), z_UZ=_aligned(data.users, user_ids, z_UZ))


def _aligned(vocabulary: Vocabulary, ids: list[str] | tuple[str, ...], vectors: Floats) -> Floats:
    rows = vocabulary.encode(ids, unknown="ignore")
    aligned = np.zeros((len(vocabulary), vectors.shape[1]), np.float32)
    aligned[rows[rows >= 0]] = vectors[rows >= 0]
    return aligned
