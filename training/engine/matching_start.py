"""Start both id tables from a truncated SVD of the degree-normalised log: random starts lose by far.

Shape legend: U users, I items, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch

from training.data.pair_log import PairLog
from training.models.matching import COUNT_OFFSET, user_directions
from training.models.two_tower import TwoTower, TwoTowerConfig

Floats = npt.NDArray[np.float32]
SpectrumName = Literal["plain", "ridge", "squared", "cubed"]
_POWERS = {"plain": 1, "squared": 2, "cubed": 3}
KNEE = 8
"""Directions that a ridge leaves about alike."""
DEGREE_OFFSET = 5.0
"""Added to each degree before normalising, so that a single interaction does not dominate a direction."""
REACH = 5
"""Items after an item that count as transitions from it."""
TRANSITION_DECAY = 0.7
"""Weight of a transition relative to the one an item nearer."""


def svd_items(pairs: PairLog, width: int, seed: int) -> Floats:
    """Return float32[I, D]: right singular vectors times singular values, most important first, not normalised.

    A log with fewer users or items than `width` has fewer directions; the rest are zero. Prefixes of the columns are
    the starts of smaller widths.

    Args:
        pairs: Distinct pairs.
        width: D.
        seed: Seed of the randomised solver.
    """
    from sklearn.utils.extmath import randomized_svd

    matrix = pairs.matrix()
    users, items = (np.asarray(matrix.sum(axis=axis)).ravel() + DEGREE_OFFSET for axis in (1, 0))
    normalised = (sp.diags(users**-0.5) @ matrix @ sp.diags(items**-0.5)).astype(np.float32)
    rank = min(width, *matrix.shape)
    vectors = np.zeros((pairs.num_items, width), np.float32)
    if len(pairs):
        _, values, right = randomized_svd(normalised, rank, n_iter=3, random_state=seed)
        vectors[:, : len(values)] = right.T * values
    return vectors


def transition_items(pairs: PairLog, width: int, seed: int) -> tuple[Floats, Floats]:
    """Return float32[I, D] of items as what was met and as what is met next: the SVD of transitions in histories.

    A transition counts less with each item between, and is divided by the degrees of both ends; both sides take the
    root of the singular values. Prefixes of the columns are the starts of smaller widths.
    """
    from sklearn.utils.extmath import randomized_svd

    counts = transitions(pairs)
    left, right = (np.asarray(counts.sum(axis=axis)).ravel() + DEGREE_OFFSET * REACH for axis in (1, 0))
    normalised = (sp.diags(left**-0.5) @ counts @ sp.diags(right**-0.5)).astype(np.float32)
    met, following = (np.zeros((pairs.num_items, width), np.float32) for _ in range(2))
    if counts.nnz:
        u, values, vt = randomized_svd(normalised, min(width, pairs.num_items), n_iter=3, random_state=seed)
        met[:, : len(values)], following[:, : len(values)] = u * values**0.5, vt.T * values**0.5
    return met, following


def transitions(pairs: PairLog) -> sp.csr_matrix:
    """Return float64[I, I]: how often who met an item met another within `REACH` items after it, nearer ones more."""
    histories = pairs.histories()
    users = np.repeat(np.arange(pairs.num_users), histories.lengths)
    counts = sp.csr_matrix((pairs.num_items, pairs.num_items))
    for gap in range(1, REACH + 1):
        same = users[gap:] == users[:-gap]
        weights = np.full(int(same.sum()), TRANSITION_DECAY ** (gap - 1))
        ends = histories.item_idx[:-gap][same], histories.item_idx[gap:][same]
        counts = counts + sp.csr_matrix((weights, ends), counts.shape)
    return sp.csr_matrix(counts)


@dataclass(frozen=True)
class ItemStart:
    """Where the two id tables start, most important column first.

    Attributes:
        history_ID: float32[I, D], items that histories are made of.
        scored_ID: float32[I, D], items that are scored.
        seed: Of the weights that no item gives.
    """

    history_ID: Floats
    scored_ID: Floats
    seed: int = 0

    @classmethod
    def of(cls, pairs: PairLog, width: int, seed: int, *, ordered: bool) -> ItemStart:
        """Return the start from transitions where the order of events counts, else from who met what."""
        if ordered:
            return cls(*transition_items(pairs, width, seed), seed)
        items = svd_items(pairs, width, seed)
        return cls(items, items, seed)

    def tower(self, config: TwoTowerConfig, pairs: PairLog, spectrum: SpectrumName = "plain") -> TwoTower:
        """Return towers of at most D columns of the start, L2-normalised; item terms are log popularity.

        Args:
            config: Sizes of the towers.
            pairs: Distinct pairs, whose counts are the item terms.
            spectrum: How much each direction says, see `_reshaped`.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            tower = TwoTower(config, pairs.num_items)
        history, scored = (
            torch.nn.functional.normalize(torch.from_numpy(_reshaped(side[:, : config.width], spectrum)), dim=1)
            for side in (self.history_ID, self.scored_ID)
        )
        tower.start_from(history, torch.from_numpy(np.log(pairs.item_counts() + COUNT_OFFSET)).float(), scored)
        return tower.eval()


def _reshaped(side_ID: Floats, spectrum: SpectrumName) -> Floats:
    """Return the columns, of lengths s in descending order, at other lengths.

    A ridge gives sqrt(s^2 / (s^2 + t^2)), with t the length behind the `KNEE` first: both sides together weigh a
    direction as ridge regression of the log on itself does, so that what most users share does not drown the rest.
    Powers of s go the other way, as if the graph of who met what had been walked for longer: less is lost to noise
    where interactions are few.
    """
    lengths_D = np.linalg.norm(side_ID, axis=0)
    if spectrum == "ridge":
        wanted_D = lengths_D / np.maximum(np.hypot(lengths_D, lengths_D[min(KNEE, len(lengths_D) - 1)]), 1e-12)
    else:
        wanted_D = (lengths_D / max(float(lengths_D.max(initial=0.0)), 1e-12)) ** _POWERS[spectrum]
    return np.asarray(side_ID * (wanted_D / np.maximum(lengths_D, 1e-12)), np.float32)


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
