"""Serve trained towers as plain vectors: the inner product ranks items for a user and users for an item.

Shape legend: U users, I items, D tower width, R columns of successors, Z width of a user vector of the space.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from training.contracts.errors import require_space
from training.data.matching_set import MatchingData
from training.data.pair_log import PairLog
from training.data.vocabulary import Vocabulary
from training.models.history_encoders import HistoryConfig
from training.models.history_rows import encode_rows
from training.models.saved import read_network, save_network
from training.models.successors import Successors
from training.models.two_tower import TwoTower, TwoTowerConfig

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
COUNT_OFFSET = 0.5
ITEM_SHARES = (0.25, 0.1, 0.05, 0.02, 0.01)
"""Newest shares of rows that tell how popular an item is by now."""
USER_SHARES = (0.25, 0.1, 0.05)
"""Newest shares of rows that tell how active a user is by now."""


def item_features(pairs: PairLog) -> Doubles:
    """Return float64[I, 6]: log counts of each item over the whole log, then over its newest `ITEM_SHARES`."""
    return np.column_stack([np.log(pairs.item_counts(share) + COUNT_OFFSET) for share in (1.0, *ITEM_SHARES)])


def user_features(pairs: PairLog) -> Doubles:
    """Return float64[U, 5]: log counts of each user as of items, then minus the log of days since the last row."""
    counts = [np.log(pairs.user_counts(share) + COUNT_OFFSET) for share in (1.0, *USER_SHARES)]
    return np.column_stack([*counts, -np.log1p(pairs.user_age_days())])


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How the parts of phi = gamma (a_u <u, v> / tau + c p_ui) + b_u + b_i are weighed when serving, by validation.

    b_u is the same for every item of a user, so it orders users alone, as b_i orders items alone: each is fitted to
    its own task, and gamma to recommendation. a_u says how sure the direction of a user is, p_ui is the chance that i
    follows u's newest items.

    Attributes:
        gamma: Weight of both inner products.
        item_weights: Of the columns of `item_features`; together they forecast how popular an item will be.
        learned_weight: Weight of what training added to the item terms.
        user_weights: Of the columns of `user_features`; together they forecast how active a user will be.
        activity_power: Power of a user's number of items, over the mean user's, that is a_u; 0 takes all for as sure.
        successor_weight: c, weight of the chance that an item follows; 0 leaves it out.
        z_share: Weight of the direction that the space's vector predicts, beside the history's direction.
    """

    gamma: float = 0.7
    item_weights: tuple[float, ...] = (1.0,) + (0.0,) * len(ITEM_SHARES)
    learned_weight: float = 1.0
    user_weights: tuple[float, ...] = (0.0,) * (len(USER_SHARES) + 2)
    activity_power: float = 0.0
    successor_weight: float = 0.0
    z_share: float = 0.0

    def __post_init__(self) -> None:
        # JSON knows lists alone, and a calibration that was saved equals the one that is loaded.
        for name in ("item_weights", "user_weights"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def item_terms(self, pairs: PairLog, learned_I: Doubles) -> Doubles:
        """Return b_i, float64[I], from the counts of a log and what training added."""
        popularity = item_features(pairs) @ np.array(self.item_weights)
        return np.asarray(popularity + self.learned_weight * learned_I, np.float64)

    def user_terms(self, pairs: PairLog) -> Doubles:
        """Return b_u, float64[U], from a log."""
        return np.asarray(user_features(pairs) @ np.array(self.user_weights), np.float64)

    def user_lengths(self, pairs: PairLog) -> Floats:
        """Return a_u, float32[U], from a log; a user without items is as sure as with one."""
        counts = np.maximum(pairs.user_counts(), 1)
        return np.asarray((counts / max(float(counts.mean()), 1.0)) ** self.activity_power, np.float32)


@dataclass(frozen=True, kw_only=True)
class MatchingModel:
    """Trained towers, the calibration, and the ids that their rows belong to.

    Attributes:
        space_id: The space whose vectors it reads; it reads no other.
        items: Ids of the item rows.
        tower: The towers, in eval mode.
        calibration: How parts are weighed.
        item_terms_I: float64[I], b_i as of training.
        z_map_ZD: float32[Z, D], ridge map from the space's vectors to user directions.
        successors: What came next after each item; of no columns where that says nothing more.
        facts: JSON-able account of how it was chosen and trained.
    """

    space_id: str
    items: Vocabulary
    tower: TwoTower
    calibration: Calibration
    item_terms_I: Doubles
    z_map_ZD: Floats
    successors: Successors
    facts: dict[str, Any]

    def user_vectors(self, data: MatchingData) -> Floats:
        """Return float32[U, D + R + 2], row by row of `data.users`; items that the model does not know are passed over.

        Raises:
            SpaceMismatch: The data's vectors are of another space.
        """
        self.refuse_other_space(data.space_id)
        pairs = data.pairs_over(self.items)
        towards = blend(user_directions(self.tower, pairs), z_directions(data.z_UZ, self.z_map_ZD), self.calibration)
        return fold_users(towards, self.tower, self.calibration, pairs, self.successors)

    def item_vectors(self, data: MatchingData | None = None) -> Floats:
        """Return float32[I, D + R + 2]: the model's own items, or those of `data`, new ones below every known one."""
        own = fold_items(self.tower, self.item_terms_I, self.successors)
        if data is None:
            return own
        unknown = np.zeros((1, own.shape[1]), np.float32)
        unknown[0, -1] = own[:, -1].min(initial=0.0) - 1.0
        return np.vstack([own, unknown])[self.items.encode(data.items.ids, unknown="ignore")]

    def refuse_other_space(self, space_id: str) -> None:
        """Raise SpaceMismatch unless `space_id` is the model's."""
        require_space(self.space_id, space_id, "matching")

    def save(self, folder: Path) -> None:
        """Write the model into an existing folder; equal models give equal bytes."""
        self.items.save(folder / "items.json")
        described = {
            "space_id": self.space_id,
            "tower": asdict(self.tower.config),
            "calibration": asdict(self.calibration),
            "facts": self.facts,
        }
        save_network(
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
        described, weights, arrays = read_network(folder, "matching")
        items = Vocabulary.load(folder / "items.json")
        history = HistoryConfig(**described["tower"].pop("history"))
        tower = TwoTower(TwoTowerConfig(**described["tower"], history=history), len(items))
        tower.load_state_dict(weights)
        return cls(
            space_id=described["space_id"],
            items=items,
            tower=tower.eval(),
            calibration=Calibration(**described["calibration"]),
            item_terms_I=arrays["item_terms"],
            z_map_ZD=arrays["z_map"],
            successors=Successors.from_arrays(arrays, len(items)),
            facts=described["facts"],
        )


def learned_terms(tower: TwoTower, pairs: PairLog) -> Doubles:
    """Return float64[I]: what training added to log popularity in the item terms."""
    learned = tower.item_bias.detach().numpy().astype(np.float64)
    return np.asarray(learned - np.log(pairs.item_counts() + COUNT_OFFSET), np.float64)


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


def z_directions(z_UZ: Floats, z_map_ZD: Floats) -> Floats:
    """Return float32[U, D], L2-normalised: where the space's vectors say that the users stand."""
    mapped = z_UZ @ z_map_ZD
    return np.asarray(mapped / np.maximum(np.linalg.norm(mapped, axis=1, keepdims=True), 1e-9), np.float32)


def fit_z_map(z_UZ: Floats, directions_UD: Floats, strength: float = 1.0) -> Floats:
    """Return float32[Z, D]: the ridge regression from the space's vectors to the directions of users with history.

    It is fitted to directions, not to targets, so nothing that a vector knows of a target can be read off.
    """
    known = (np.abs(directions_UD).sum(axis=1) > 0) & (np.abs(z_UZ).sum(axis=1) > 0)
    if not known.any():
        return np.zeros((z_UZ.shape[1], directions_UD.shape[1]), np.float32)
    z, target = z_UZ[known].astype(np.float64), directions_UD[known].astype(np.float64)
    gram = z.T @ z
    ridge = strength * max(float(np.trace(gram)) / max(len(gram), 1) / 100, 1e-6)
    return np.asarray(np.linalg.solve(gram + ridge * np.eye(len(gram)), z.T @ target), np.float32)


def blend(history_UD: Floats, from_z_UD: Floats, calibration: Calibration) -> Floats:
    """Return float32[U, D], L2-normalised; a user without history takes the direction that z predicts."""
    bare = np.abs(history_UD).sum(axis=1, keepdims=True) == 0
    mixed = history_UD + np.where(bare, 1.0, calibration.z_share) * from_z_UD
    return np.asarray(mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-9), np.float32)


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
