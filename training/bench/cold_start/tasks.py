"""Hold out a fifth of the users whole, known by attributes alone; validation holds out an eighth of the rest.

Shape legend: U training users, B new users, I items, F attribute columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp

from training.arrays import Floats
from training.bench.cold_start.logs import Attributes
from training.consumers.cold_start.dataset import ColdStartData, encode_tokens, padded, value_vocabulary
from training.data.pair_log import PairLog
from training.data.vocabulary import Vocabulary
from training.evaluation.peers.log import TrainingLog

TEST_SEED, VALIDATION_SEED = 42, 7
TEST_SHARE, VALIDATION_SHARE = 5, 8
MIN_COUNT = 5
"""Users that an attribute value needs to be known."""


@dataclass(frozen=True)
class ColdTask:
    """Training users with their pairs, new users with none.

    Attributes:
        log: The training users' pairs, users numbered 0..U-1.
        data: The same with attributes, users 0..U-1, then the B new ones.
        attributes_UF: float32[U + B, F], attribute values and picks as columns of 0 and 1.
        groups: Group of each of the U + B users.
        truth: float32[B, I], what the new users interacted with.
    """

    log: TrainingLog
    data: ColdStartData
    attributes_UF: Floats
    groups: Sequence[str]
    truth: sp.csr_matrix

    @property
    def num_known(self) -> int:
        """U."""
        return self.log.num_users


def make_tasks(frame: pd.DataFrame, attributes: Attributes) -> tuple[ColdTask, ColdTask]:
    """Return (validation, test): new users drawn by fixed seeds, items those of the training users."""
    train, test = _hold_out(frame, TEST_SEED, TEST_SHARE)
    return make_task(*_hold_out(train, VALIDATION_SEED, VALIDATION_SHARE), attributes), make_task(
        train, test, attributes
    )


def _hold_out(frame: pd.DataFrame, seed: int, one_in: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    users = np.sort(frame["user_id"].unique())
    held_out = set(np.random.default_rng(seed).choice(users, len(users) // one_in, replace=False).tolist())
    new = frame["user_id"].isin(held_out)
    train = frame[~new]
    return train, frame[new & frame["item_id"].isin(set(train["item_id"]))]


def make_task(train: pd.DataFrame, test: pd.DataFrame, attributes: Attributes) -> ColdTask:
    """Return one task of pairs in time order."""
    known, new = np.sort(train["user_id"].unique()), np.sort(test["user_id"].unique())
    users, items = [*known.tolist(), *new.tolist()], np.sort(train["item_id"].unique())
    user_idx = np.searchsorted(known, train["user_id"].to_numpy())
    item_idx = np.searchsorted(items, train["item_id"].to_numpy())
    at = train["occurred_at"].to_numpy(np.int64)
    shape = (len(new), len(items))
    rows = np.searchsorted(new, test["user_id"].to_numpy()), np.searchsorted(items, test["item_id"].to_numpy())
    data = cold_data(users, items, PairLog.of(user_idx, item_idx, at, len(users), len(items)), attributes)
    return ColdTask(
        log=TrainingLog(len(known), len(items), user_idx, item_idx, at),
        data=data,
        attributes_UF=attribute_columns(data),
        groups=[attributes.groups[user] for user in users],
        truth=sp.csr_matrix((np.ones(len(test), np.float32), rows), shape),
    )


def cold_data(users: Sequence[object], items: np.ndarray, pairs: PairLog, attributes: Attributes) -> ColdStartData:
    """Return pairs with the attributes of `users`; no space: no item vectors and no encoder inputs."""
    tokens = [list(attributes.values[user]) for user in users]
    values = value_vocabulary(tokens, MIN_COUNT)
    places = {item: at for at, item in enumerate(items.tolist())}
    picks = [[places[pick] for pick in attributes.picks[user] if pick in places] for user in users]
    return ColdStartData(
        items=Vocabulary([f"{at:08d}" for at in range(len(items))], "item"),
        values=values,
        attribute_idx_UA=encode_tokens(tokens, values),
        pick_idx_UP=padded(picks),
        pairs=pairs,
        item_vectors_IE=np.zeros((len(items), 0), np.float32),
        x_UF=np.zeros((len(users), 0), np.float32),
        x_mask_UF=np.zeros((len(users), 0), bool),
    )


def attribute_columns(data: ColdStartData) -> Floats:
    """Return float32[U + B, F]: one column of 0 and 1 per attribute value, and per item that anyone picked."""
    tables = ((data.attribute_idx_UA, len(data.values)), (data.pick_idx_UP, len(data.items)))
    return np.hstack([_multi_hot(table, width) for table, width in tables])


def _multi_hot(table: np.ndarray, width: int) -> Floats:
    columns = np.zeros((len(table), width + 1), np.float32)
    columns[np.arange(len(table))[:, None], table] = 1.0
    columns = columns[:, :width]
    return columns[:, columns.any(axis=0)]
