"""Read what the consumer `cold_start` knows as of a partition, through its own Feast service and the space's.

Attributes are the profile and the onboarding blocks; behaviour is the history in the space's item vectors. The user id
is held out. Shape legend: U users, F encoder columns, Z width of a user vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.arrays import Floats, Mask
from training.consumers.cold_start.dataset import (
    ColdStartData,
    encode_lists,
    encode_tokens,
    onto_items,
    tokens_of,
    value_vocabulary,
)
from training.consumers.cold_start.model import ColdStartModel
from training.contracts.partitions import Partition
from training.data.derived_lock import reads_derived
from training.data.feature_store import read_user_features
from training.data.pair_log import PairLog
from training.data.vocabulary import Vocabulary
from training.ranking.assemble import read_dataset
from training.ranking.dataset import RankingDataset
from training.representation.encoder_file import run_encoder
from training.representation.inputs import FEATURE_SERVICE, STATIC_COLUMNS
from training.representation.user_space import UserSpace, ensure_embeddings
from training.settings import Settings

SERVICE = "cold_start_v1"
MIN_COUNT = 5
"""Users that an attribute value needs to get a row of its own."""


@dataclass(frozen=True)
class ColdStartSet:
    """Everything of one partition and space.

    Attributes:
        data: Tokens, pairs and encoder inputs by row of `users`.
        users: Every known user.
        interactions: What the pairs were made from, over all items and with every event.
        space: The space.
    """

    data: ColdStartData
    users: Vocabulary
    interactions: RankingDataset
    space: UserSpace


@reads_derived
def build_cold_start(settings: Settings, partition: Partition, space_id: str) -> ColdStartSet:
    """Encode what is missing, and return what `cold_start` trains on as of a partition; see `read_cold_start`."""
    ensure_embeddings(settings, space_id, partition)
    return read_cold_start(settings, partition, space_id)


@reads_derived
def read_cold_start(
    settings: Settings, partition: Partition, space_id: str, model: ColdStartModel | None = None
) -> ColdStartSet:
    """Return the data of a partition; over a model's own items and attribute values when one is given.

    Raises:
        MissingArtefact: The space, its vectors or the features of the partition are not there; the message names the
            job to run.
    """
    space = UserSpace.load(settings, space_id)
    matching = read_dataset(settings, partition, space_id)
    profile = _rows(settings, partition, SERVICE, space, matching.users)
    tokens = tokens_of(_attribute_columns(profile))
    values = model.values if model else value_vocabulary(tokens, MIN_COUNT)
    items = model.items if model else matching.items
    own_rows = items.encode(matching.items.ids, unknown="ignore").astype(np.int64)
    x_UF, mask_UF = _encoder_inputs(_rows(settings, partition, FEATURE_SERVICE, space, matching.users), space)
    data = ColdStartData(
        items=items,
        values=values,
        attribute_idx_UA=encode_tokens(tokens, values),
        pick_idx_UP=encode_lists(list(profile["onboarding_item_ids"]), items),
        pairs=onto_items(matching.pairs(), own_rows, len(items)),
        item_vectors_IE=items.aligned(matching.items.ids, matching.item_vectors_IE),
        x_UF=x_UF,
        x_mask_UF=mask_UF,
    )
    return ColdStartSet(_fitted(data, model), matching.users, matching, space)


def virtual_vectors(found: ColdStartSet, model: ColdStartModel) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return the rows of users without history, int64[n], and their z float32[n, Z] by the shared encoder.

    Their encoder input keeps profile and onboarding as they are and takes its behaviour columns from the tower.
    """
    rows = np.flatnonzero(np.bincount(found.interactions.user_idx, minlength=len(found.users)) == 0)
    columns_F = behaviour_columns(found.space)
    x_nF = found.data.x_UF[rows].copy()
    x_nF[:, columns_F] = model.virtual_columns(found.data, rows)[:, columns_F]
    return rows, run_encoder(found.space.session, x_nF)


def data_of_users(
    model: ColdStartModel, profile: pd.DataFrame, histories: Sequence[Sequence[str]], x_UF: Floats
) -> ColdStartData:
    """Return what a model reads of some users, from their own rows alone.

    Args:
        model: Over its items and attribute values.
        profile: One row per user: the static columns and the onboarding picks.
        histories: Items that each user has met, oldest first; the model passes over those that it does not know.
        x_UF: float32[U, F], the users' encoder inputs.
    """
    user_idx = np.repeat(np.arange(len(histories)), [len(items) for items in histories])
    item_idx = model.items.encode([item for items in histories for item in items], unknown="ignore").astype(np.int64)
    known = item_idx >= 0
    order = np.arange(int(known.sum()))
    pairs = PairLog.of(user_idx[known], item_idx[known], order, len(histories), len(model.items)).distinct()
    data = ColdStartData(
        items=model.items,
        values=model.values,
        attribute_idx_UA=encode_tokens(tokens_of(_attribute_columns(profile)), model.values),
        pick_idx_UP=encode_lists(list(profile["onboarding_item_ids"]), model.items),
        pairs=pairs,
        item_vectors_IE=np.zeros((len(model.items), 0), np.float32),
        x_UF=x_UF,
        x_mask_UF=np.zeros(x_UF.shape, bool),
    )
    return data.as_wide_as(*model.token_widths)


def behaviour_columns(space: UserSpace) -> Mask:
    """Return bool[F]: the encoder's columns that come from behaviour."""
    layout = space.assembler.layout
    return np.asarray(layout.group_columns()[layout.group_names.index("behaviour")], bool)


def _rows(settings: Settings, partition: Partition, service: str, space: UserSpace, users: Vocabulary) -> pd.DataFrame:
    item_space = space.ref.item_space_id
    frame = read_user_features(settings, partition, service, item_space, space_id=space.ref.space_id)
    return frame.assign(item_space_id=item_space).set_index("user_id").loc[list(users.ids)].reset_index()


def _attribute_columns(profile: pd.DataFrame) -> dict[str, list[list[str]]]:
    columns = {name: [[str(value)] for value in profile[name].fillna("")] for name in STATIC_COLUMNS}
    picked = [[str(value) for value in values] for values in profile["onboarding_categories"]]
    return {**columns, "onboarding_category": picked}


def _encoder_inputs(frame: pd.DataFrame, space: UserSpace) -> tuple[Floats, Mask]:
    x_UF, observed_UK = space.assembler.transform(frame)
    mask_UF = np.zeros(x_UF.shape, bool)
    for index, block in enumerate(space.assembler.layout.blocks):
        if "behaviour" in block.groups:
            mask_UF[:, block.columns] = observed_UK[:, index, None]
    return x_UF, mask_UF


def _fitted(data: ColdStartData, model: ColdStartModel | None) -> ColdStartData:
    """Return data whose token tables are as wide as the model was built for, and without columns of unseen users."""
    data = data.without_users(~data.has_history)
    return data if model is None else data.as_wide_as(*model.token_widths)
