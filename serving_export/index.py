"""Build and search nearest-neighbour indexes by inner product, where a full product would cost too much.

HNSW (Malkov and Yashunin 2016) walks a graph of near rows. By inner product long rows lie near everything and the walk
gets stuck, so each row gets one column more that makes all of one length: then the highest product is the nearest row
(Bachrach et al. 2014). What an index finds is measured against full products when it is written, and one that misses
too much is not served.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

import numpy as np
from usearch.index import Index

from serving_export.lookup import Consumer, Ranking, Side, rank_exactly
from serving_export.packed import Rows, pair_scores, top_rows, unpack_ids
from training.arrays import Floats

logger = logging.getLogger(__name__)
SideName = Literal["user", "item"]

SINGLE_THREAD_ROWS = 50_000
"""Up to here one thread builds the index, so that equal vectors give equal bytes."""
EXACT_VALUES: dict[SideName, int] = {"item": 2**23, "user": 2**30}
"""Values of the vectors to rank up to which a full product answers: some 5 ms for items, which every page asks for, and
half a second for users, which a campaign asks for and whose index would take a quarter of an hour a day."""
SEARCH_BREADTH = 256
"""Rows that a walk keeps in view; with fewer it finds less."""
MIN_RECALL = 0.95
MEASURED_QUERIES = 200
MEASURED_LENGTH = 20


def write_index(folder: Path, side: SideName, queries: Floats, answers: Floats) -> dict[str, Any]:
    """Write `<side>s.hnsw` where full products cost too much and the index finds enough, and return how it answers.

    Args:
        folder: The consumer's folder.
        side: Which side `answers` are.
        queries: float32 [Q, D] or [Q, K, D], the other side: a sample of them measures the index.
        answers: float32 [N, D] or [N, K, D], what is ranked.

    Returns:
        `answers_by`, "product" or "index", and where an index was built its `recall@20` over `num_queries` queries.
    """
    if answers.size <= EXACT_VALUES[side] or not len(queries):
        return {"answers_by": "product"}
    path = folder / f"{side}s.hnsw"
    build_index(answers, path)
    sample = np.sort(np.random.default_rng(0).permutation(len(queries))[:MEASURED_QUERIES])
    recall = measure_recall(open_index(path), queries[sample], answers)
    found = {f"recall@{MEASURED_LENGTH}": round(recall, 4), "num_queries": len(sample)}
    if recall >= MIN_RECALL:
        return {"answers_by": "index", **found}
    path.unlink()
    logger.warning(
        "expected an index that finds %.2f of the best %d %ss, found %.3f at %s; full products answer in its place",
        *(MIN_RECALL, MEASURED_LENGTH, side, recall, folder.name),
    )
    return {"answers_by": "product", **found}


def build_index(vectors: Floats, path: Path) -> None:
    """Write an index whose keys are the row numbers of `vectors`; no rows give an index that finds nothing.

    Args:
        vectors: float32 [N, D]; of [N, K, D] vector k of row n gets the key n * K + k.
        path: File to write.
    """
    vectors_ND = vectors.reshape(-1, vectors.shape[-1])
    index = Index(ndim=vectors_ND.shape[1] + 1, metric="ip", dtype="f32")
    if len(vectors_ND):
        threads = 1 if len(vectors_ND) <= SINGLE_THREAD_ROWS else 0
        index.add(np.arange(len(vectors_ND)), _of_one_length(vectors_ND), threads=threads)
    index.save(str(path))


def open_index(path: Path) -> Any:
    """Return the index that `build_index` wrote, mapped."""
    index = Index.restore(str(path), view=True)
    index.expansion_search = SEARCH_BREADTH
    return index


def measure_recall(index: Any, queries: Floats, answers: Floats) -> float:
    """Return the share of each query's best rows, by full product, that the index finds, on average."""
    num_vectors = answers.shape[1] if answers.ndim == 3 else 1
    shares = []
    for query in queries:
        best = top_rows(pair_scores(query[None], answers)[0], MEASURED_LENGTH)
        found = _union(index, query, num_vectors, MEASURED_LENGTH)
        shares.append(float(np.isin(best, found).mean()))
    return float(np.mean(shares))


class ApproximateConsumer:
    """Answer a consumer's queries through its indexes, and by full products where the snapshot holds none."""

    def __init__(self, consumer: Consumer) -> None:
        """Map `users.hnsw` and `items.hnsw` beside the consumer's arrays, where they are."""
        self._consumer = consumer
        paths = (consumer.folder / f"{side}s.hnsw" for side in ("user", "item"))
        self._users, self._items = (open_index(path) if path.exists() else None for path in paths)

    def recommend(self, user_id: str, k: int, *, drop_seen: bool = True) -> Ranking:
        """Return about the k best items of a user, best first; exact without an index or when nearly all were seen."""
        sides = self._consumer.users, self._consumer.items
        return _rank(self._items, *sides, user_id, k, drop_seen=drop_seen)

    def target(self, item_id: str, k: int, *, drop_seen: bool = True) -> Ranking:
        """Return about the k best users of an item, best first; exact without an index."""
        sides = self._consumer.items, self._consumer.users
        return _rank(self._users, *sides, item_id, k, drop_seen=drop_seen)


def search(index: Any, query_D: Floats, k: int) -> Rows:
    """Return the rows of about the k highest inner products with a query, best first, int64 [<= k]."""
    if not len(index):
        return np.empty(0, dtype=np.int64)
    padded = np.append(query_D, np.float32(0)).astype(np.float32)
    keys = index.search(padded, min(k, len(index)), threads=1).keys
    return np.asarray(keys, dtype=np.int64)


def _of_one_length(vectors_ND: Floats) -> Floats:
    """Return the rows with a column more, by which all are as long as the longest."""
    squares_N = np.einsum("nd,nd->n", vectors_ND, vectors_ND)
    missing_N = np.sqrt(np.maximum(squares_N.max() - squares_N, 0))
    return np.column_stack([vectors_ND, missing_N]).astype(np.float32)


def _rank(index: Any, queries: Side, answers: Side, external_id: str, k: int, *, drop_seen: bool) -> Ranking:
    row = queries.row(external_id)
    seen = queries.seen(row) if drop_seen else np.empty(0, dtype=np.int32)
    wanted = k + len(seen)
    if index is None or not _is_worth_a_search(wanted, len(answers.ids)):
        return rank_exactly(queries, answers, external_id, k, drop_seen=drop_seen)
    found = _union(index, queries.vectors[row], answers.num_vectors, wanted)
    erased = answers.erased_rows(found)
    found = found[~np.isin(found, np.concatenate([seen, erased]))]
    if erased.size and len(found) < k:
        return rank_exactly(queries, answers, external_id, k, drop_seen=drop_seen)
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
    return num_wanted <= num_rows // 10
