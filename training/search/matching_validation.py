"""Hold a validation cut of the training period and judge calibrations on it quickly: scores are computed once.

Shape legend: K judged keys (users or items), C candidates of the other side, U users, I items, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch

from training.data.pair_log import PairLog
from training.evaluation.ranking import score_lists

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
CUT = 20
MAX_SCORES = 16_000_000
"""Scores kept per side (64 MB): above it, judged keys are drawn at random."""


@dataclass(frozen=True)
class Cut:
    """What was known at an instant, and what followed among the users and items known by then."""

    known: PairLog
    later: PairLog

    @classmethod
    def at(cls, pairs: PairLog, share: float) -> Cut:
        """Return the cut after the first `share` of rows; held-out rows have known users and items, unseen pairs."""
        second = pairs.instant_at(share)
        known, later = pairs.before(second), pairs.since(second)
        warm = (known.user_counts()[later.user_idx] > 0) & (known.item_counts()[later.item_idx] > 0)
        return cls(known, later.where(warm))


@dataclass(frozen=True)
class Side:
    """One task: rank all C candidates for each of K keys.

    Attributes:
        keys: int64[K], rows that are ranked for.
        scores_KC: Inner products without any terms; seen pairs are minus infinity.
        truth: Held-out pairs as rows by candidates.
    """

    keys: Indices
    scores_KC: torch.Tensor
    truth: sp.csr_matrix

    def judge(self, gamma: float, terms_C: Doubles) -> Doubles:
        """Return float64[K, 2]: recall and NDCG at CUT of gamma * score + term."""
        scores = torch.add(torch.from_numpy(terms_C.astype(np.float32)), self.scores_KC, alpha=gamma)
        best = scores.topk(min(CUT, scores.shape[1]), dim=1)
        lists = np.where(np.isneginf(best.values.numpy()), -1, best.indices.numpy())
        found = score_lists(self.keys, lists, self.truth)
        return np.column_stack([found.recall(CUT), found.ndcg(CUT)])


def sides(cut: Cut, users_UD: Floats, items_ID: Floats, seed: int) -> tuple[Side, Side]:
    """Return the recommendation and the targeting side of a cut for vectors that hold the scale but no terms."""
    seen, truth = cut.known.matrix(), cut.later.matrix()
    recommend = _side(users_UD, items_ID, seen, truth, seed)
    return recommend, _side(items_ID, users_UD, seen.T.tocsr(), truth.T.tocsr(), seed)


def _side(queries: Floats, candidates: Floats, seen: sp.csr_matrix, truth: sp.csr_matrix, seed: int) -> Side:
    keys = np.flatnonzero(np.diff(truth.indptr)).astype(np.int64)
    most = max(MAX_SCORES // max(len(candidates), 1), 50)
    if len(keys) > most:
        keys = np.sort(np.random.default_rng(seed).choice(keys, most, replace=False))
    scores = torch.from_numpy(queries[keys]) @ torch.from_numpy(np.ascontiguousarray(candidates)).T
    rows, columns = seen[keys].nonzero()
    scores[torch.from_numpy(rows).long(), torch.from_numpy(columns).long()] = -torch.inf
    return Side(keys, scores, truth)
