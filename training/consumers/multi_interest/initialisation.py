"""Start the towers where learning is quick: items from a truncated SVD, attention queries from clusters of items.

Shape legend: I items, K interests, D width, E width of an item's features.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from training.arrays import Floats
from training.consumers.multi_interest.network import MultiInterest, MultiInterestConfig
from training.data.pair_log import PairLog
from training.ranking.calibration import COUNT_OFFSET
from training.ranking.initialisation import unit_rows
from training.ranking.space_directions import fit_z_map

SHRINKAGE = 5.0
"""Interactions at which an item's start stands half on its own direction and half on what its features predict."""
CLUSTERING_ROUNDS = 10


def started_model(
    config: MultiInterestConfig, pairs: PairLog, svd_ID: Floats, features_IE: Floats, seed: int
) -> MultiInterest:
    """Return towers over the first D columns of `svd_ID`, item terms at log popularity, one query per item cluster.

    Args:
        config: Sizes.
        pairs: Distinct pairs that the SVD was taken of.
        svd_ID: float32[I, >= D], see `matching_start.svd_items`.
        features_IE: float32[I, E]; zero rows have none.
        seed: Seed of the networks' weights and of the clusters.
    """
    torch.manual_seed(seed)
    model = MultiInterest(config, torch.from_numpy(features_IE))
    counts = pairs.item_counts()
    directions = unit_rows(svd_ID[:, : config.width])
    with torch.no_grad():
        ids, predicted = _item_start(config, directions, features_IE, counts)
        model.scored_items.weight.copy_(torch.from_numpy(ids))
        model.from_features.copy_(torch.from_numpy(predicted))
        model.history_items.weight.copy_(model.items())
        model.item_bias.copy_(torch.from_numpy(np.log(counts + COUNT_OFFSET)))
        model.towers.queries.copy_(torch.from_numpy(config.sharpness * _queries(config, directions, counts, seed)))
    return model.eval()


def _item_start(
    config: MultiInterestConfig, directions_ID: Floats, features_IE: Floats, counts_I: npt.NDArray[np.float64]
) -> tuple[Floats, Floats]:
    """Return ids float32[I, D] and map float32[E, D] whose sum shrinks rare items to what features predict."""
    if not config.item_features:
        return directions_ID, np.zeros((features_IE.shape[1], directions_ID.shape[1]), np.float32)
    mapped = fit_z_map(features_IE, np.where(counts_I[:, None] > 0, directions_ID, 0).astype(np.float32))
    own = (counts_I / (counts_I + SHRINKAGE))[:, None]
    return np.asarray(own * (directions_ID - features_IE @ mapped), np.float32), mapped


def _queries(
    config: MultiInterestConfig, directions_ID: Floats, counts_I: npt.NDArray[np.float64], seed: int
) -> Floats:
    num = 1 if config.shared_trunk else config.num_interests
    if config.query_start == "clusters":
        return cluster_centres(directions_ID, counts_I, num, seed)
    return unit_rows(np.random.default_rng(seed).normal(size=(num, config.width)).astype(np.float32))


def cluster_centres(directions_ID: Floats, weights_I: npt.NDArray[np.float64], num: int, seed: int) -> Floats:
    """Return float32[num, D], unit centres of spherical k-means over items weighted by interactions.

    A single centre is zero: a lone query that prefers nothing pools by recency alone.
    """
    if num == 1:
        return np.zeros((1, directions_ID.shape[1]), np.float32)
    rng = np.random.default_rng(seed)
    centres = _spread_rows(directions_ID, weights_I, num, rng)
    for _ in range(CLUSTERING_ROUNDS):
        nearest = (directions_ID @ centres.T).argmax(axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, directions_ID * weights_I[:, None].astype(np.float32))
        empty = np.linalg.norm(sums, axis=1) < 1e-9
        centres = np.where(empty[:, None], centres, unit_rows(sums))
    return np.asarray(centres, np.float32)


def _spread_rows(
    directions_ID: Floats, weights_I: npt.NDArray[np.float64], num: int, rng: np.random.Generator
) -> Floats:
    """Return `num` rows drawn one after another, each far from those before (k-means++)."""
    chance = np.where(np.linalg.norm(directions_ID, axis=1) > 0, weights_I, 0) + 1e-12
    rows = [int(rng.choice(len(chance), p=chance / chance.sum()))]
    while len(rows) < num:
        distance = 1.0 - (directions_ID @ directions_ID[rows].T).max(axis=1)
        mass = chance * np.maximum(distance, 0) + 1e-12
        rows.append(int(rng.choice(len(mass), p=mass / mass.sum())))
    return directions_ID[rows]
