"""Hold an item space's vectors as fixed-point integers, ready to be summed exactly in any order."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from training.representation.collaborative import normalise_rows
from training.representation.item_space import ItemSpace

UNIT = 2**20
"""One in fixed point. Sums of 2^43 unit vectors still fit an int64."""
IntTable = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ItemTable:
    """Quantised vectors of one item space, extended by the items that came after it.

    Attributes:
        item_space_id: The item space.
        item_ids: External ids, sorted.
        values: int64 [I + 1, K]: both modalities, then 1; the last row stands for items without a vector.
        late: Digest of the row of each item that the frozen space does not hold.
        categories: Quantised unit centroid, int64 [K], of each category's items.
    """

    item_space_id: str
    item_ids: pa.Array
    values: IntTable
    late: dict[str, str]
    categories: dict[str, IntTable]

    @property
    def width(self) -> int:
        """D, the width of one modality."""
        return int(self.values.shape[1] - 1) // 2

    def locate(self, item_ids: pa.ChunkedArray | pa.Array) -> IntTable:
        """Return the row of each id, int64 [N]; unknown ids get the last row."""
        return _locate(item_ids, self.item_ids)

    def picks(self, item_ids_U: pa.ListArray, categories_U: pa.ListArray) -> IntTable:
        """Return the exact sum and count, int64 [U, K], of each user's picks: lists of items and of whole categories.

        Unknown picks are ignored; a list may be empty or null.
        """
        centroids = np.stack([*self.categories.values(), np.zeros_like(self.values[-1])])
        names = pa.array(self.categories.keys(), pa.string())
        return _sum_lists(item_ids_U, self.item_ids, self.values) + _sum_lists(categories_U, names, centroids)


def build_item_table(space: ItemSpace, profile: pd.DataFrame) -> ItemTable:
    """Return the table of a space over its own items and the profile's new ones."""
    extended = space.extended(profile)
    values = quantise(extended.vectors())
    late = sorted(set(extended.item_ids) - set(space.item_ids))
    position = {item_id: row for row, item_id in enumerate(extended.item_ids)}
    return ItemTable(
        item_space_id=space.item_space_id,
        item_ids=pa.array(extended.item_ids, pa.string()),
        values=values,
        late={item_id: hashlib.sha256(values[position[item_id]].tobytes()).hexdigest()[:16] for item_id in late},
        categories=_category_centroids(extended, profile),
    )


def quantise(vectors: npt.NDArray[np.float32]) -> IntTable:
    """Return float32 [I, 2 D] as int64 [I + 1, 2 D + 1]: a count of one per row, and a last row without vector."""
    values = np.ones((len(vectors) + 1, vectors.shape[1] + 1), np.int64)
    values[:-1, :-1] = np.rint(vectors.astype(np.float64) * UNIT)
    values[-1, :-1] = 0
    return values


def _category_centroids(space: ItemSpace, profile: pd.DataFrame) -> dict[str, IntTable]:
    """Return what a pick of a whole category means: the direction of its items' mean, per modality."""
    position = pd.Series(np.arange(len(space.item_ids)), index=list(space.item_ids))
    named = profile[~profile["category"].isin(["", "unknown"])].sort_values("item_id")
    centroids: dict[str, IntTable] = {}
    for category, items in named.groupby("category", sort=True):
        rows = position[items["item_id"]].to_numpy()
        halves = (side[rows].astype(np.float64).mean(axis=0)[None] for side in (space.collaborative, space.content))
        centroids[str(category)] = quantise(np.hstack([normalise_rows(half) for half in halves]))[0]
    return centroids


def _locate(names: pa.ChunkedArray | pa.Array, known: pa.Array) -> IntTable:
    """Return the place of each name in `known`, int64 [N]; `len(known)` for one that it lacks."""
    return np.asarray(pc.fill_null(pc.index_in(names, value_set=known), len(known))).astype(np.int64)


def _sum_lists(lists_U: pa.ListArray, known: pa.Array, values: IntTable) -> IntTable:
    """Return for each list the sum, int64 [U, K], of the rows of `values` that it names; the last row is no name's."""
    rows = _locate(pc.list_flatten(lists_U).cast(pa.string()), known)
    owners = np.asarray(pc.list_parent_indices(lists_U))
    counts = sp.csr_array((np.ones(len(rows), np.int64), (owners, rows)), shape=(len(lists_U), len(values)))
    return np.asarray(counts[:, :-1] @ values[:-1])
