"""Time the best 100 of many items for a user: full product beside the approximate index, with its recall."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from serving_export.index import build_index, open_index, search
from serving_export.packed import top_rows
from training.bench.shared.timing import Timing, seconds_each

WIDTH = 64
LENGTH = 100


def top_k_timing(folder: Path, num_items: int, num_clusters: int = 200, seed: int = 17) -> Timing:
    """Return the line of one query against clustered unit vectors, as item towers give them.

    Args:
        folder: Where the index is written.
        num_items: Rows to search.
        num_clusters: Directions around which items lie; wholly random ones would be harder than any catalogue.
        seed: Of the vectors.
    """
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(num_clusters, WIDTH))
    items = _unit(centres[rng.integers(num_clusters, size=num_items)] + 0.7 * rng.normal(size=(num_items, WIDTH)))
    queries = _unit(centres[rng.integers(num_clusters, size=20)] + 0.7 * rng.normal(size=(20, WIDTH)))
    path = folder / "items.hnsw"
    build_index(items, path)
    index = open_index(path)
    exact = [set(top_rows(items @ query, LENGTH).tolist()) for query in queries]
    found = [set(search(index, query, LENGTH).tolist()) for query in queries]
    recall = float(np.mean([len(a & b) / LENGTH for a, b in zip(exact, found, strict=True)]))
    taken = seconds_each(
        {
            "index": lambda: [search(index, query, LENGTH) for query in queries],
            "exact": lambda: [top_rows(items @ query, LENGTH) for query in queries],
            "product": lambda: [items @ query for query in queries],
        }
    )
    each = {name: 1000 * seconds / len(queries) for name, seconds in taken.items()}
    return Timing(
        what=f"top {LENGTH} of {num_items:,} × {WIDTH}, index at recall {recall:.3f}",
        unit="ms",
        ours=each["index"],
        incumbents={"exact": each["exact"]},
        limits={"the product alone": each["product"]},
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
