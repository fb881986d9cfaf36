"""Item neighbourhoods of the `implicit` library: cosine and BM25 similarity over the user's items."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp

from training.evaluation.metrics import Scorer
from training.evaluation.peers.log import ProductScorer, TrainingLog

THREADS = 2


def cosine_neighbours(log: TrainingLog, *, neighbours: int) -> Scorer:
    """Return the sum of cosine similarities to the user's items, over each item's nearest neighbours."""
    from implicit.nearest_neighbours import CosineRecommender

    return _fit(log, CosineRecommender(K=neighbours, num_threads=THREADS))


def bm25_neighbours(log: TrainingLog, *, neighbours: int, saturation: float, length_share: float) -> Scorer:
    """Return the sum of BM25 similarities to the user's items; `saturation` is its K1, `length_share` its B."""
    from implicit.nearest_neighbours import BM25Recommender

    return _fit(log, BM25Recommender(K=neighbours, K1=saturation, B=length_share, num_threads=THREADS))


def _fit(log: TrainingLog, model: Any) -> Scorer:
    matrix = log.matrix
    with warnings.catch_warnings():  # it warns of the format that its own weighting makes
        warnings.simplefilter("ignore")
        model.fit(matrix, show_progress=False)
    similarity = sp.csr_matrix(model.similarity, dtype=np.float32)
    return ProductScorer(matrix, similarity, np.zeros(log.num_items, np.float32))
