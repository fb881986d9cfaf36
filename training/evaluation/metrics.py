"""Score ranked lists against held-out interactions, for both sides of one user-item score.

Every known item is ranked for a user (recommendation) and every known user for an item (targeting); nothing is
sampled. Shapes: K keys with held-out interactions, N list length, U users, I items, C candidates, D width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from training.arrays import Doubles, Floats, Indices
from training.contracts.errors import AttuneError

SCORES_PER_CHUNK = 2**23
"""Scores held at once while ranking: 32 MB of float32."""

MAX_JUDGED = 4096
"""Users, or items, that a choice or a gate is judged by; a mean NDCG of so many is known to within .006."""


class Scorer(Protocol):
    """A fitted model seen from both sides. Higher is better; scores need no scale."""

    def item_scores(self, user_idx: Indices) -> Floats:
        """Return float32[B, I]: every item for each of the B users."""
        ...

    def user_scores(self, item_idx: Indices) -> Floats:
        """Return float32[B, U]: every user for each of the B items."""
        ...


@dataclass(frozen=True)
class VectorScorer:
    """Score by plain inner product of user vectors float32[U, D] and item vectors float32[I, D].

    Of user vectors float32[U, K, D], K each, the largest inner product is the score.
    """

    user_vectors: Floats
    item_vectors: Floats

    def item_scores(self, user_idx: Indices) -> Floats:
        """Return float32[B, I]."""
        return best_products(self.user_vectors[user_idx], self.item_vectors)

    def user_scores(self, item_idx: Indices) -> Floats:
        """Return float32[B, U]."""
        return best_products(self.user_vectors, self.item_vectors[item_idx]).T


def best_products(users: Floats, items_ID: Floats) -> Floats:
    """Return float32[B, I]: inner products of users float32[B, D], or the largest of each of float32[B, K, D]."""
    if users.ndim == 2:
        return np.asarray(users @ items_ID.T, np.float32)
    best = users[:, 0] @ items_ID.T
    for interest in range(1, users.shape[1]):
        np.maximum(best, users[:, interest] @ items_ID.T, out=best)
    return np.asarray(best, np.float32)


@dataclass(frozen=True)
class RankingScores:
    """What each key's list hit, kept per key so that intervals and bootstraps need no second ranking.

    Attributes:
        keys: int64[K], row numbers of the keys with at least one held-out interaction, ascending.
        hits: bool[K, N], whether the list's n-th entry is relevant, best first.
        num_relevant: int64[K], size of each key's truth, at least 1.
    """

    keys: Indices
    hits: npt.NDArray[np.bool_]
    num_relevant: Indices

    def recall(self, k: int) -> Doubles:
        """Return float64[K]: hits in the first k over all that is relevant (not over min(k, relevant))."""
        return np.asarray(self.hits[:, :k].sum(axis=1) / self.num_relevant, np.float64)

    def ndcg(self, k: int) -> Doubles:
        """Return float64[K]: discounted gain over that of the ideal list, which is cut at min(k, relevant)."""
        discount = 1.0 / np.log2(np.arange(2, k + 2))
        ideal = np.cumsum(discount)[np.minimum(k, self.num_relevant) - 1]
        found = self.hits[:, :k]
        return np.asarray((found @ discount[: found.shape[1]]) / ideal, np.float64)

    def hit_rate(self, k: int) -> Doubles:
        """Return float64[K]: 1 where any of the first k is relevant, else 0."""
        return np.asarray(self.hits[:, :k].any(axis=1), np.float64)

    def summary(self, k: int, prefix: str = "") -> dict[str, float]:
        """Return the means over keys, their number `n` and the standard error of the NDCG; no keys give zeros."""
        num = len(self.keys)
        ndcg = self.ndcg(k) if num else np.zeros(1)
        values = {
            f"recall@{k}": float(self.recall(k).mean()) if num else 0.0,
            f"ndcg@{k}": float(ndcg.mean()),
            f"hr@{k}": float(self.hit_rate(k).mean()) if num else 0.0,
            "n": float(num),
            "se_ndcg": float(ndcg.std() / np.sqrt(max(num, 1))),
        }
        return {prefix + name: value for name, value in values.items()}


@dataclass(frozen=True)
class TwoSidedScores:
    """Both directions of one model; `targeting` is None where a protocol has no such task."""

    recommendation: RankingScores
    targeting: RankingScores | None

    def summary(self, k: int) -> dict[str, float]:
        """Return the recommendation's summary, and the targeting's with every name prefixed `target_`."""
        targeting = {} if self.targeting is None else self.targeting.summary(k, "target_")
        return {**self.recommendation.summary(k), **targeting}


def evaluate(
    scorer: Scorer,
    train_UI: sp.csr_matrix,
    test_UI: sp.csr_matrix,
    k: int,
    *,
    targeting: bool = True,
    max_keys: int | None = None,
) -> TwoSidedScores:
    """Return how well a scorer ranks unseen items for users and unseen users for items.

    Args:
        scorer: Scores over the same U users and I items as the matrices.
        train_UI: What was seen, float32[U, I]; seen pairs never enter a list.
        test_UI: Held-out pairs, float32[U, I]; users and items without any are not scored.
        k: Length of the lists; metrics at any smaller k can be read from the result.
        targeting: Whether to rank users for items as well.
        max_keys: Users, and items, that are ranked for at most: a sample, the same for any scorer; None takes all.
    """
    rec = _one_side(scorer.item_scores, sp.csr_matrix(train_UI), sp.csr_matrix(test_UI), k, max_keys)
    if not targeting:
        return TwoSidedScores(rec, None)
    seen, truth = sp.csr_matrix(train_UI.T), sp.csr_matrix(test_UI.T)
    return TwoSidedScores(rec, _one_side(scorer.user_scores, seen, truth, k, max_keys))


def sample(keys: Indices, most: int | None, seed: int = 0) -> Indices:
    """Return `most` of some keys, drawn without replacement, ascending; all of them where there are no more."""
    if most is None or len(keys) <= most:
        return keys
    return np.sort(np.random.default_rng(seed).choice(keys, most, replace=False))


def _one_side(
    score_rows: Callable[[Indices], Floats],
    seen: sp.csr_matrix,
    truth: sp.csr_matrix,
    k: int,
    max_keys: int | None,
) -> RankingScores:
    keys = sample(np.flatnonzero(np.diff(truth.indptr)).astype(np.int64), max_keys)
    return score_lists(keys, top_k(score_rows, keys, truth.shape[1], k, seen), truth)


def top_k(
    score_rows: Callable[[Indices], Floats], keys: Indices, num_candidates: int, k: int, seen: sp.csr_matrix | None
) -> Indices:
    """Return int64[K, min(k, C)]: the best candidates of each key, best first, ranked in bounded memory.

    Args:
        score_rows: Scores float32[B, C] of every candidate for a chunk of keys.
        keys: int64[K], row numbers passed to `score_rows` and looked up in `seen`.
        num_candidates: C.
        k: Length of the lists.
        seen: Pairs float32[rows, C] to leave out; None keeps all.

    Returns:
        Candidate numbers; -1 fills a list whose key has fewer than k unseen candidates.
    """
    k = min(k, num_candidates)
    top = np.empty((len(keys), k), np.int64)
    step = max(1, SCORES_PER_CHUNK // max(num_candidates, 1))
    for start in range(0, len(keys), step):
        chunk = keys[start : start + step]
        scores = np.array(score_rows(chunk), np.float32)
        if seen is not None:
            rows, columns = seen[chunk].nonzero()
            scores[rows, columns] = -np.inf
        top[start : start + step] = _best_columns(scores, k)
    return top


def _best_columns(scores_BC: Floats, k: int) -> Indices:
    if k < scores_BC.shape[1]:
        best = np.argpartition(-scores_BC, k, axis=1)[:, :k]
    else:
        best = np.broadcast_to(np.arange(k), scores_BC.shape)
    values = np.take_along_axis(scores_BC, best, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    best, values = np.take_along_axis(best, order, axis=1), np.take_along_axis(values, order, axis=1)
    return np.where(np.isneginf(values), -1, best)


def score_lists(keys: Indices, lists_KN: Indices, truth: sp.csr_matrix) -> RankingScores:
    """Return what the lists int64[K, N] of `keys` hit in `truth` float32[rows, C]; -1 in a list hits nothing.

    Raises:
        AttuneError: A list names a candidate twice, which would count one hit twice.
    """
    _no_duplicates(lists_KN)
    truth = sp.csr_matrix(truth)
    truth.sum_duplicates()
    rows = np.repeat(np.arange(truth.shape[0], dtype=np.int64), np.diff(truth.indptr))
    pairs = np.sort(rows * truth.shape[1] + truth.indices)
    wanted = np.where(lists_KN < 0, -1, keys[:, None] * truth.shape[1] + lists_KN)
    at = np.minimum(np.searchsorted(pairs, wanted), max(len(pairs) - 1, 0))
    hits = pairs[at] == wanted if len(pairs) else np.zeros(wanted.shape, bool)
    return RankingScores(keys, hits, np.diff(truth.indptr)[keys].astype(np.int64))


def _no_duplicates(lists_KN: Indices) -> None:
    ordered = np.sort(lists_KN, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if twice.any():
        row, column = np.argwhere(twice)[0]
        raise AttuneError(
            f"expected distinct ids in a ranked list, found {ordered[row, column]} twice in list {row}; "
            "remove the repetition before scoring"
        )
