"""Hold a validation cut of the training period and judge calibrations on it quickly: scores are computed once.

Shape legend: K judged keys (users or items), C candidates of the other side, U users, I items, D width.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from training.arrays import Doubles, Floats, Indices
from training.data.pair_log import PairLog
from training.evaluation.metrics import MAX_JUDGED, sample, score_lists

TASKS = ("recommendation", "targeting")
CUT = 20
MAX_SCORES = 16_000_000
"""Scores kept per side (64 MB): above it, and above `MAX_JUDGED`, judged keys are drawn at random."""


@dataclass(frozen=True)
class Cut:
    """What was known at an instant, and what followed among the users and items known by then."""

    known: PairLog
    later: PairLog

    @classmethod
    def at(cls, pairs: PairLog, share: float) -> Cut:
        """Return the cut after the first `share` of rows; held-out rows have known users and items, unseen pairs."""
        second = pairs.instant_at(share)
        return cls._warm(pairs.before(second), pairs.since(second))

    @classmethod
    def last_items(cls, pairs: PairLog) -> Cut:
        """Return the cut before every user's newest row, whenever that was."""
        newest = np.zeros(len(pairs), np.bool_)
        newest[len(pairs) - 1 - np.unique(pairs.user_idx[::-1], return_index=True)[1]] = True
        return cls._warm(pairs.where(~newest), pairs.where(newest))

    @classmethod
    def _warm(cls, known: PairLog, later: PairLog) -> Cut:
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


def sides(cut: Cut, users_UD: Floats, items_ID: Floats, seed: int, tasks: Collection[str] = TASKS) -> tuple[Side, Side]:
    """Return the recommendation and the targeting side of a cut for vectors that hold the scale but no terms.

    The side of a task that is not among `tasks` has no keys.
    """
    seen, truth = cut.known.matrix(), cut.later.matrix()
    nothing = sp.csr_matrix(truth.shape, dtype=truth.dtype)
    wanted, wanted_T = (truth if task in tasks else nothing for task in TASKS)
    recommend = _side(users_UD, items_ID, seen, wanted, seed)
    return recommend, _side(items_ID, users_UD, seen.T.tocsr(), wanted_T.T.tocsr(), seed)


def judged_keys(truth: sp.csr_matrix, seed: int) -> Indices:
    """Return the rows with anything held out, int64[K]: so many as `MAX_SCORES` and `MAX_JUDGED` allow, by the seed."""
    keys = np.flatnonzero(np.diff(truth.indptr)).astype(np.int64)
    return sample(keys, min(max(MAX_SCORES // max(truth.shape[1], 1), 50), MAX_JUDGED), seed)


def _side(queries: Floats, candidates: Floats, seen: sp.csr_matrix, truth: sp.csr_matrix, seed: int) -> Side:
    keys = judged_keys(truth, seed)
    scores = _products(queries[keys], candidates)
    rows, columns = seen[keys].nonzero()
    scores[torch.from_numpy(rows).long(), torch.from_numpy(columns).long()] = -torch.inf
    return Side(keys, scores, truth)


def _products(queries: Floats, candidates: Floats) -> torch.Tensor:
    """Return float[K, C]; of a side with several vectors [N, interests, D] the largest product of each pair."""
    left, right = (torch.from_numpy(np.ascontiguousarray(side)) for side in (queries, candidates))
    if left.dim() == right.dim() == 2:
        return left @ right.T
    several, single = (left, right) if left.dim() == 3 else (right, left)
    best = several[:, 0] @ single.T
    for interest in range(1, several.shape[1]):
        best = torch.maximum(best, several[:, interest] @ single.T)
    return best if left.dim() == 3 else best.T.contiguous()
