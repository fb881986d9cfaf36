"""Serve trained towers as plain vectors: K of a user, one of an item; the largest inner product is the score.

Shape legend: U users, I items, K interests, D width, Z width of a user vector of the space, E of an item's features.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from training.arrays import Doubles, Floats, Indices
from training.consumers.multi_interest.network import MultiInterest, MultiInterestConfig, shown_items
from training.data.pair_log import PairLog
from training.ranking.calibration import Calibration
from training.ranking.dataset import RankingDataset
from training.ranking.saved import SpaceModel
from training.ranking.space_directions import blend, z_directions


@dataclass(frozen=True, kw_only=True)
class MultiInterestModel(SpaceModel):
    """Trained towers, the calibration, and the ids that their rows belong to.

    The space's vector z_u is each tower's second input, through a ridge map to where the tower points for users with a
    history: it fills in for users without one, and stands beside the history as far as validation gains by it. It is
    not an input of the training: a z_u of today knows the very items that training hides.

    Attributes:
        network: The towers, in eval mode.
        calibration: How the parts of the score are weighed.
        item_terms_I: float64[I], b_i as of training.
        z_map_ZF: float32[Z, K * D], ridge maps from the space's vectors to each tower's direction, side by side.
    """

    consumer: ClassVar[str] = "multi_interest"
    network: MultiInterest
    calibration: Calibration
    item_terms_I: Doubles
    z_map_ZF: Floats

    def user_vectors(self, data: RankingDataset) -> Floats:
        """Return float32[U, K, D + 2], or [U, D + 2] of a single interest, row by row of `data.users`.

        Raises:
            SpaceMismatch: The data's vectors are of another space.
        """
        self.refuse_other_space(data.space_id)
        pairs = data.pairs_over(self.items)
        interests = blended(interests_of(self.network, pairs), data.z_UZ, self.z_map_ZF, self.calibration)
        return fold_interests(interests, self.network, self.calibration, pairs)

    def item_vectors(self, data: RankingDataset | None = None) -> Floats:
        """Return float32[I, D + 2]: the model's own items, or those of `data`.

        A new item stands where its features say, at the least popularity; without features it is below every known one.
        """
        own = fold_scored_items(self.network, self.item_terms_I)
        if data is None:
            return own
        rows = self.items.encode(data.items.ids, unknown="ignore")
        lowest = float(self.item_terms_I.min(initial=0.0))
        new = new_items(self.network, data.content_vectors[rows < 0], lowest)
        folded = np.zeros((len(rows), own.shape[1]), np.float32)
        folded[rows >= 0], folded[rows < 0] = own[rows[rows >= 0]], new
        return folded

    def save(self, folder: Path) -> None:
        """Write the model into an existing folder; equal models give equal bytes."""
        described = {
            "network": asdict(self.network.config),
            "calibration": asdict(self.calibration),
        }
        self._save(folder, self.network, described, item_terms=self.item_terms_I, z_map=self.z_map_ZF)

    @classmethod
    def load(cls, folder: Path) -> MultiInterestModel:
        """Return the model that `save` wrote.

        Raises:
            MissingArtefact: No model lies there.
        """
        (described, weights, arrays), own = cls._read(folder)
        network = MultiInterest(MultiInterestConfig(**described["network"]), weights["features_IE"])
        network.load_state_dict(weights)
        return cls(
            **own,
            network=network.eval(),
            calibration=Calibration(**described["calibration"]),
            item_terms_I=arrays["item_terms"],
            z_map_ZF=arrays["z_map"],
        )


@torch.no_grad()
def interests_of(network: MultiInterest, pairs: PairLog, users: Indices | None = None, chunk: int = 1024) -> Floats:
    """Return float32[U, K, D], L2-normalised, of every user's history; zeros without one.

    Args:
        network: The towers.
        pairs: The histories.
        users: When given, int64 rows of the users to compute; the others are left at zero.
        chunk: Users computed at a time.
    """
    histories, config = pairs.histories(), network.config
    chosen = np.arange(pairs.num_users) if users is None else users
    interests = np.zeros((pairs.num_users, config.num_interests, config.width), np.float32)
    for start in range(0, len(chosen), chunk):
        part = chosen[start : start + chunk]
        rows, place = histories.rows_of(part, config.max_length)
        shown = shown_items(histories.item_idx[rows], place, len(part), config.max_length)
        interests[part] = network.users(shown).numpy()
    return interests


def blended(interests_UKD: Floats, z_UZ: Floats, z_map_ZF: Floats, calibration: Calibration) -> Floats:
    """Return float32[U, K, D], L2-normalised: history and what z predicts, tower by tower; see `matching.blend`."""
    num_users, num_interests, width = interests_UKD.shape
    predicted = (z_UZ @ z_map_ZF).reshape(num_users * num_interests, width)
    directions = z_directions(predicted, np.eye(width, dtype=np.float32))
    mixed = blend(interests_UKD.reshape(-1, width), directions, calibration)
    return mixed.reshape(num_users, num_interests, width)


def fold_interests(interests_UKD: Floats, network: MultiInterest, calibration: Calibration, pairs: PairLog) -> Floats:
    """Return float32[U, K, D + 2], scaled directions, b_u, 1; float32[U, D + 2] of a single interest."""
    scales_U = calibration.gamma * float(network.scale.detach()) * calibration.user_lengths(pairs)
    shape, terms_U = (*interests_UKD.shape[:2], 1), calibration.user_terms(pairs)
    parts = (scales_U[:, None, None] * interests_UKD, np.broadcast_to(terms_U[:, None, None], shape), np.ones(shape))
    folded = np.concatenate(parts, axis=2).astype(np.float32)
    return folded[:, 0] if folded.shape[1] == 1 else folded


@torch.no_grad()
def fold_scored_items(network: MultiInterest, terms_I: Doubles) -> Floats:
    """Return float32[I, D + 2]: directions, 1, b_i."""
    return np.column_stack([network.items().numpy(), np.ones(len(terms_I)), terms_I]).astype(np.float32)


@torch.no_grad()
def new_items(network: MultiInterest, features_NE: Floats, lowest: float) -> Floats:
    """Return float32[N, D + 2] of items that training did not know, from their features float32[N, E] alone.

    An item whose features say nothing gets no direction and a term one below `lowest`.
    """
    directions = network.directions_of(torch.from_numpy(features_NE)).numpy()
    unknown = np.abs(directions).sum(axis=1) == 0
    return np.column_stack([directions, np.ones(len(directions)), lowest - unknown]).astype(np.float32)


def win_shares(network: MultiInterest, pairs: PairLog, newest: int = 100_000) -> list[float]:
    """Return each tower's share of the newest pairs, the tower that scores a pair highest winning it.

    They sum to 1; all are 0 without any pair. A tower that wins nothing is dead: its vectors are never the answer.
    """
    interests = interests_of(network, pairs)
    kept = pairs.where(np.arange(len(pairs)) >= len(pairs) - newest)
    items = network.items().detach().numpy()[kept.item_idx]
    winners = np.einsum("nkd,nd->nk", interests[kept.user_idx], items).argmax(axis=1)
    wins = np.bincount(winners, minlength=network.config.num_interests)
    return [float(share) for share in wins / max(len(kept), 1)]
