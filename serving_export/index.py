"""Build and search approximate nearest-neighbour indexes by inner product (HNSW, Malkov and Yashunin 2016)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from usearch.index import Index

from serving_export.lookup import Consumer, Ranking, Side, rank_exactly
from serving_export.packed import Floats, Rows, pair_scores, top_rows, unpack_ids

SINGLE_THREAD_ROWS = 50_000
"""Up to here one thread builds the index, so that equal vectors give equal bytes."""
EXACT_ROWS = 20_000
"""Up to here a full product is faster than a search and exact."""


def build_index(vectors: Floats, path: Path) -> None:
    """Write an index whose keys are the row numbers of `vectors`; no rows give an index that finds nothing.

    Args:
        vectors: float32 [N, D]; of [N, K, D] vector k of row n gets the key n * K + k.
        path: File to write.
    """
    vectors_ND = vectors.reshape(-1, vectors.shape[-1])
    index = Index(ndim=max(1, vectors_ND.shape[1]), metric="ip", dtype="f32")
    if len(vectors_ND):
        threads = 1 if len(vectors_ND) <= SINGLE_THREAD_ROWS else 0
        index.add(np.arange(len(vectors_ND)), vectors_ND, threads=threads)
    index.save(str(path))


class ApproximateConsumer:
    """Answer a consumer's queries through its two indexes instead of a full product."""

    def __init__(self, consumer: Consumer) -> None:
        """Map `users.usearch` and `items.usearch` beside the consumer's arrays."""
        self._consumer = consumer
        self._users = _open(consumer.folder / "users.usearch")
        self._items = _open(consumer.folder / "items.usearch")

    def recommend(self, user_id: str, k: int, *, drop_seen: bool = True) -> Ranking:
        """Return about the k best items of a user, best first; exact when items are few or nearly all were seen."""
        sides = self._consumer.users, self._consumer.items
        return _rank(self._items, *sides, user_id, k, drop_seen=drop_seen)

    def target(self, item_id: str, k: int, *, drop_seen: bool = True) -> Ranking:
        """Return about the k best users of an item, best first."""
        sides = self._consumer.items, self._consumer.users
        return _rank(self._users, *sides, item_id, k, drop_seen=drop_seen)


def search(index: Any, query_D: Floats, k: int) -> Rows:
    """Return the rows of about the k highest inner products with a query, best first, int64 [<= k]."""
    if not len(index):
        return np.empty(0, dtype=np.int64)
    keys = index.search(np.ascontiguousarray(query_D), min(k, len(index)), threads=1).keys
    return np.asarray(keys, dtype=np.int64)


def _rank(index: Any, queries: Side, answers: Side, external_id: str, k: int, *, drop_seen: bool) -> Ranking:
    row = queries.row(external_id)
    seen = queries.seen(row) if drop_seen else np.empty(0, dtype=np.int32)
    wanted = k + len(seen)
    if not _is_worth_a_search(wanted, len(answers.ids)):
        return rank_exactly(queries, answers, external_id, k, drop_seen=drop_seen)
    found = _union(index, queries.vectors[row], answers.num_vectors, wanted)
    found = found[~np.isin(found, seen)]
    scores = pair_scores(queries.vectors[row : row + 1], answers.vectors[found])[0]
    order = top_rows(scores, k)
    return Ranking(query=external_id, ids=tuple(unpack_ids(answers.ids[found[order]])), scores=scores[order])


def _union(index: Any, query: Floats, num_vectors: int, wanted: int) -> Rows:
    """Return the rows found by a search with each vector of a query, float32 [D] or [K, D], ascending, each once.

    Where an answer has several vectors, so many more are asked for that `wanted` answers are found at least.
    """
    keys = [search(index, vector, wanted * num_vectors) for vector in np.atleast_2d(query)]
    return np.unique(np.concatenate(keys) // num_vectors)


def _is_worth_a_search(num_wanted: int, num_rows: int) -> bool:
    return num_rows > EXACT_ROWS and num_wanted <= num_rows // 10


def _open(path: Path) -> Any:
    return Index.restore(str(path), view=True)
