"""Serve trained towers as plain vectors: the inner product ranks items for a user and users for an item.

Shape legend: U users, I items, D tower width, R columns of successors, Z width of a user vector of the space.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from training.arrays import Doubles, Floats
from training.consumers.matching.successors import Successors
from training.data.pair_log import PairLog
from training.ranking.calibration import Calibration
from training.ranking.dataset import RankingDataset
from training.ranking.history_encoders import HistoryConfig
from training.ranking.history_rows import encode_rows
from training.ranking.saved import SpaceModel
from training.ranking.space_directions import blend, z_directions
from training.ranking.two_tower import TwoTower, TwoTowerConfig


@dataclass(frozen=True, kw_only=True)
class MatchingModel(SpaceModel):
    """Trained towers, the calibration, and the ids that their rows belong to.

    Attributes:
        tower: The towers, in eval mode.
        calibration: How parts are weighed.
        item_terms_I: float64[I], b_i as of training.
        z_map_ZD: float32[Z, D], ridge map from the space's vectors to user directions.
        successors: What came next after each item; of no columns where that says nothing more.
    """

    consumer: ClassVar[str] = "matching"
    tower: TwoTower
    calibration: Calibration
    item_terms_I: Doubles
    z_map_ZD: Floats
    successors: Successors

    def user_vectors(self, data: RankingDataset) -> Floats:
        """Return float32[U, D + R + 2], row by row of `data.users`; items that the model does not know are passed over.

        Raises:
            SpaceMismatch: The data's vectors are of another space.
        """
        self.refuse_other_space(data.space_id)
        pairs = data.pairs_over(self.items)
        towards = blend(user_directions(self.tower, pairs), z_directions(data.z_UZ, self.z_map_ZD), self.calibration)
        return fold_users(towards, self.tower, self.calibration, pairs, self.successors)

    def item_vectors(self, data: RankingDataset | None = None) -> Floats:
        """Return float32[I, D + R + 2]: the model's own items, or those of `data`, new ones below every known one."""
        own = fold_items(self.tower, self.item_terms_I, self.successors)
        if data is None:
            return own
        unknown = np.zeros((1, own.shape[1]), np.float32)
        unknown[0, -1] = own[:, -1].min(initial=0.0) - 1.0
        return np.vstack([own, unknown])[self.items.encode(data.items.ids, unknown="ignore")]

    def save(self, folder: Path) -> None:
        """Write the model into an existing folder; equal models give equal bytes."""
        described = {
            "tower": asdict(self.tower.config),
            "calibration": asdict(self.calibration),
        }
        self._save(
            folder,
            self.tower,
            described,
            item_terms=self.item_terms_I,
            z_map=self.z_map_ZD,
            **self.successors.arrays(),
        )

    @classmethod
    def load(cls, folder: Path) -> MatchingModel:
        """Return the model that `save` wrote.

        Raises:
            MissingArtefact: No model lies there.
        """
        (described, weights, arrays), own = cls._read(folder)
        history = HistoryConfig(**described["tower"].pop("history"))
        tower = TwoTower(TwoTowerConfig(**described["tower"], history=history), len(own["items"]))
        tower.load_state_dict(weights)
        return cls(
            **own,
            tower=tower.eval(),
            calibration=Calibration(**described["calibration"]),
            item_terms_I=arrays["item_terms"],
            z_map_ZD=arrays["z_map"],
            successors=Successors.from_arrays(arrays, len(own["items"])),
        )


@torch.no_grad()
def user_directions(tower: TwoTower, pairs: PairLog, chunk: int = 512) -> Floats:
    """Return float32[U, D], L2-normalised, of every user's history; zeros without one.

    Users of like length are encoded together, so that little of what is read is padding.
    """
    histories = pairs.histories()
    order = np.argsort(histories.lengths, kind="stable")
    directions_UD = np.zeros((pairs.num_users, tower.config.width), np.float32)
    for start in range(0, pairs.num_users, chunk):
        users = order[start : start + chunk]
        rows, place = histories.rows_of(users)
        directions_UD[users] = encode_rows(tower, histories.item_idx[rows], place, len(users)).numpy()
    return directions_UD


def scored_users(
    directions_UD: Floats, tower: TwoTower, calibration: Calibration, pairs: PairLog, successors: Successors
) -> Floats:
    """Return float32[U, D + R]: scaled directions and weighed successors, with a_u as a log tells it."""
    scales_U = float(tower.scale.detach()) * calibration.user_lengths(pairs)
    follows_UR = calibration.successor_weight * successors.users(pairs)
    return np.hstack([scales_U[:, None] * directions_UD, follows_UR]).astype(np.float32)


@torch.no_grad()
def scored_items(tower: TwoTower, successors: Successors) -> Floats:
    """Return float32[I, D + R]: the other side of `scored_users`."""
    return np.hstack([tower.items().numpy(), successors.following_IR])


def fold_users(
    directions_UD: Floats, tower: TwoTower, calibration: Calibration, pairs: PairLog, successors: Successors
) -> Floats:
    """Return float32[U, D + R + 2]: gamma times `scored_users`, b_u as a log tells it, 1."""
    scored = calibration.gamma * scored_users(directions_UD, tower, calibration, pairs, successors)
    return np.column_stack([scored, calibration.user_terms(pairs), np.ones(len(scored))]).astype(np.float32)


def fold_items(tower: TwoTower, terms_I: Doubles, successors: Successors) -> Floats:
    """Return float32[I, D + R + 2]: `scored_items`, 1, b_i."""
    return np.column_stack([scored_items(tower, successors), np.ones(len(terms_I)), terms_I]).astype(np.float32)
