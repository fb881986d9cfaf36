"""Initialise both id tables from a factorisation of the log, or of its transitions: random initialisation loses by far.

Shape legend: U users, I items, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from training.arrays import Floats
from training.consumers.matching.model import user_directions
from training.consumers.matching.transitions import transition_items
from training.data.pair_log import PairLog
from training.ranking.calibration import COUNT_OFFSET
from training.ranking.initialisation import degree_normalised, svd_items, unit_rows
from training.ranking.two_tower import TwoTower, TwoTowerConfig

SpectrumName = Literal["plain", "ridge", "squared", "cubed", "partial"]
_POWERS = {"plain": 1, "squared": 2, "cubed": 3}
KNEE = 8
"""Directions that a ridge leaves about alike."""
MAX_PARTIAL_ITEMS = 5_000
"""Largest catalogue whose partial correlations are worked out: memory grows with its square, time with its cube, and
where each item occurs seldom, powers do better."""
LEAST_RIDGE = 0.05
"""The ridge's length, over that of the longest direction, where a log has too few directions to tell it."""


def partial_items(pairs: PairLog, svd_ID: Floats) -> Floats:
    """Return float32[I, D] whose products come nearest to the partial correlations of items.

    A partial correlation is what two items share besides what all others tell of both: of the inverse P of the
    normalised log's Gram matrix, with a ridge, it is -P_ij / sqrt(P_ii P_jj). Those are the weights of EASE (Steck,
    WWW 2019) made symmetric, and as there no item tells of itself, so that all of D goes to what items tell of others.

    Args:
        pairs: Distinct pairs.
        svd_ID: float32[I, D], see `svd_items`: its lengths set the ridge, to half of `_knee`.
    """
    from scipy import linalg

    vectors = np.zeros_like(svd_ID)
    lengths_D = np.linalg.norm(svd_ID, axis=0)
    if not lengths_D.any():
        return vectors
    normalised = degree_normalised(pairs)
    shared_II = (normalised.T @ normalised).toarray()
    shared_II[np.diag_indices_from(shared_II)] += max(_knee(lengths_D) / 2, LEAST_RIDGE * lengths_D[0]) ** 2
    inverse_II = linalg.inv(shared_II, assume_a="pos", overwrite_a=True)
    spread_I = np.sqrt(np.diag(inverse_II))
    partial_II = -inverse_II / np.outer(spread_I, spread_I)
    np.fill_diagonal(partial_II, 0.0)
    last, num = len(partial_II) - 1, min(len(lengths_D), len(partial_II))
    values, columns = linalg.eigh(partial_II, overwrite_a=True, subset_by_index=(last - num + 1, last))
    vectors[:, :num] = (columns * np.sqrt(np.maximum(values, 0.0)))[:, ::-1]
    return vectors


@dataclass(frozen=True)
class ItemStart:
    """Where the two id tables start.

    Attributes:
        pairs: Distinct pairs.
        width: D at most.
        seed: Of the solver and of the weights that no item gives.
        ordered: Whether it is made from transitions, for the order of events counts, or from who interacted with what.
    """

    pairs: PairLog
    width: int
    seed: int
    ordered: bool

    def offers(self, spectrum: SpectrumName) -> bool:
        """Return whether a spectrum can be worked out for a catalogue of this size."""
        return spectrum != "partial" or self.pairs.num_items <= MAX_PARTIAL_ITEMS

    def tower(self, config: TwoTowerConfig, spectrum: SpectrumName = "plain") -> TwoTower:
        """Return towers of at most D columns of the start; item terms are log popularity.

        Vectors are L2-normalised, but that with "partial" an item weighs in a history as much as it tells of others.

        Args:
            config: Sizes of the towers.
            spectrum: "partial" starts from `partial_items`; else how much each direction says, see `reshaped`.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            tower = TwoTower(config, self.pairs.num_items)
        history, scored = (np.ascontiguousarray(side[:, : config.width]) for side in self._sides(spectrum))
        popularity = torch.from_numpy(np.log(self.pairs.item_counts() + COUNT_OFFSET)).float()
        history_rows = _of_mean_length_1(history) if spectrum == "partial" else unit_rows(history)
        tower.start_from(torch.from_numpy(history_rows), popularity, torch.from_numpy(unit_rows(scored)))
        return tower.eval()

    def _sides(self, spectrum: SpectrumName) -> tuple[Floats, Floats]:
        """Return items as histories are made of them and as they are scored, most important column first."""
        if self.ordered:
            preceding, following = self._transitions
            return reshaped(preceding, spectrum), reshaped(following, spectrum)
        items = self._partial if spectrum == "partial" else reshaped(self._svd, spectrum)
        return items, items

    @cached_property
    def _svd(self) -> Floats:
        return svd_items(self.pairs, self.width, self.seed)

    @cached_property
    def _partial(self) -> Floats:
        return partial_items(self.pairs, self._svd)

    @cached_property
    def _transitions(self) -> tuple[Floats, Floats]:
        return transition_items(self.pairs, self.width, self.seed)


def _of_mean_length_1(side_ID: Floats) -> Floats:
    return np.asarray(side_ID / max(float(np.linalg.norm(side_ID, axis=1).mean()), 1e-12), np.float32)


def reshaped(side_ID: Floats, spectrum: SpectrumName) -> Floats:
    """Return the columns, of lengths s in descending order, at other lengths.

    A ridge gives sqrt(s^2 / (s^2 + t^2)), with t the length behind the `KNEE` first: both sides together weigh a
    direction as ridge regression of the log on itself does, so that what most users share does not drown the rest.
    Powers of s go the other way, as if the graph of interactions had been walked for longer: less is lost to noise
    where interactions are few.
    """
    lengths_D = np.linalg.norm(side_ID, axis=0)
    if spectrum == "ridge":
        wanted_D = lengths_D / np.maximum(np.hypot(lengths_D, _knee(lengths_D)), 1e-12)
    else:
        wanted_D = (lengths_D / max(float(lengths_D.max(initial=0.0)), 1e-12)) ** _POWERS[spectrum]
    return np.asarray(side_ID * (wanted_D / np.maximum(lengths_D, 1e-12)), np.float32)


def _knee(lengths_D: Floats) -> float:
    """Return the length of the direction behind the `KNEE` first, of lengths in descending order."""
    return float(lengths_D[min(KNEE, len(lengths_D) - 1)])


@torch.no_grad()
def continued_tower(start: TwoTower, rows_I: npt.NDArray[np.int32], pairs: PairLog) -> TwoTower:
    """Return `start` over another item index space; a new item stands where its users stand, on average.

    Args:
        start: Trained towers.
        rows_I: int32[I], the row of each item in `start`; -1 for a new one.
        pairs: Distinct pairs over the new index space.
    """
    tower = TwoTower(start.config, pairs.num_items)
    tower.load_state_dict({**start.state_dict(), **_moved(start, torch.from_numpy(rows_I.astype(np.int64)), pairs)})
    known = torch.from_numpy(rows_I >= 0)
    users = torch.from_numpy(user_directions(tower, pairs))
    matrix = pairs.matrix().T.tocsr()
    fresh = np.flatnonzero(~known.numpy())
    if len(fresh):
        mean = torch.nn.functional.normalize(
            torch.from_numpy((matrix[fresh] @ users.numpy()).astype(np.float32)), dim=1
        )
        for table in (tower.history_items.weight, tower.scored_items.weight):
            table[torch.from_numpy(fresh)] = mean * table[known].norm(dim=1).mean() if bool(known.any()) else mean
    return tower.eval()


def _moved(start: TwoTower, rows: torch.Tensor, pairs: PairLog) -> dict[str, torch.Tensor]:
    known = rows >= 0
    popularity = torch.from_numpy(np.log(pairs.item_counts() + COUNT_OFFSET)).float()
    moved = {"item_bias": popularity}
    moved["item_bias"][known] = start.item_bias[rows[known]]
    for name in ("history_items.weight", "scored_items.weight"):
        table = torch.zeros(len(rows), start.config.width)
        table[known] = start.state_dict()[name][rows[known]]
        moved[name] = table
    return moved
