"""Assemble what consumers train on as of a partition: pairs, users' vectors of one space, item vectors."""

from __future__ import annotations

from dataclasses import replace

from training.contracts.columns import USER_PROFILE
from training.contracts.partitions import Partition
from training.data.derived_lock import reads_derived
from training.data.feature_store import read_item_features
from training.data.interactions import epoch_seconds, read_log, values_of
from training.data.vocabulary import Vocabulary
from training.ranking.dataset import EarlierVectors, RankingDataset
from training.representation.item_space import load_item_space
from training.representation.user_space import UserSpace, ensure_embeddings, read_embeddings
from training.settings import Settings
from training.storage import list_partitions


@reads_derived
def build_dataset(
    settings: Settings, partition: Partition, space_id: str, *, validation_share: float | None = None
) -> RankingDataset:
    """Encode what is missing, and return what a consumer trains on as of a partition; see `read_dataset`.

    Args:
        settings: Home.
        partition: The newest arrival day that may be known.
        space_id: The space of the vectors.
        validation_share: When given, the vectors of an earlier partition are added to validate on that share of rows,
            the newest; see `with_earlier`.

    Raises:
        MissingArtefact: The space, or the features of the partition, are not there.
    """
    ensure_embeddings(settings, space_id, partition)
    data = read_dataset(settings, partition, space_id)
    if validation_share is None:
        return data
    return with_earlier(settings, data, data.pairs().instant_at(1 - validation_share))


@reads_derived
def read_dataset(settings: Settings, partition: Partition, space_id: str) -> RankingDataset:
    """Return what is known as of a partition: pairs, users' vectors of one space, item vectors; nothing is encoded.

    Raises:
        MissingArtefact: The space, its vectors or the features of the partition are not there; the message names the
            job to run.
    """
    space = UserSpace.load(settings, space_id)
    user_ids, z_UZ = read_embeddings(settings, space_id, partition)
    log = read_log(settings, partition, ("user_id", "item_id", "occurred_at", "arrived_at"))
    item_ids = [*read_item_features(settings, partition)["item_id"], *values_of(log["item_id"]).to_pylist()]
    users = Vocabulary([*user_ids, *values_of(log["user_id"]).to_pylist()], "user")
    items = Vocabulary(item_ids, "item")
    held = load_item_space(settings, space.ref.item_space_id)
    return RankingDataset(
        users=users,
        items=items,
        user_idx=users.encode(log["user_id"]),
        item_idx=items.encode(log["item_id"]),
        occurred_at=epoch_seconds(log["occurred_at"]),
        arrived_at=epoch_seconds(log["arrived_at"]),
        z_UZ=users.aligned(user_ids, z_UZ),
        item_vectors_IE=items.aligned(held.item_ids, held.vectors()),
        as_of=int(partition.as_of.timestamp()),
        space_id=space_id,
    )


@reads_derived
def with_earlier(settings: Settings, data: RankingDataset, cut: int) -> RankingDataset:
    """Return the data with the vectors of the newest partition that knows nothing from a cut on, encoded if missing.

    Args:
        settings: Home.
        data: Of one space; without rows, or without such a partition, it is returned as it is.
        cut: Epoch seconds from which rows validate.
    """
    folder = settings.home / "features" / USER_PROFILE.name
    days = [day for day in list_partitions(folder) if day.as_of.timestamp() <= cut] if folder.is_dir() else []
    if not days or not len(data.occurred_at):
        return data
    ensure_embeddings(settings, data.space_id, days[-1])
    user_ids, z_UZ = read_embeddings(settings, data.space_id, days[-1])
    as_of = int(days[-1].as_of.timestamp())
    return replace(data, earlier=EarlierVectors(as_of=as_of, z_UZ=data.users.aligned(user_ids, z_UZ)))
