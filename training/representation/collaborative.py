"""Learn frozen collaborative item vectors from which items the same people meet close together.

Shape legend: N interactions, U users, I items, D vector width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from training.arrays import Floats, Indices

METHODS = ("ppmi_window", "ppmi_session", "interaction_svd")


@dataclass(frozen=True, kw_only=True)
class CollaborativeConfig:
    """How items become vectors.

    Attributes:
        method: One of `METHODS`, or "auto" to choose on the last tenth of the training period.
        window: Interactions to either side that count as occurring together.
        shift: Negative samples k of the shifted PMI; log k is subtracted.
        context_smoothing: Exponent of the context counts, which tempers rare items (Levy et al. 2015).
        singular_power: Exponent of the singular values in the vectors.
        degree_prior: Added to degrees before the interaction matrix is normalised.
    """

    method: str = "auto"
    window: int = 10
    shift: float = 1.0
    context_smoothing: float = 0.75
    singular_power: float = 0.5
    degree_prior: float = 5.0


@dataclass(frozen=True, kw_only=True)
class IndexedLog:
    """Interactions in time order as parallel arrays.

    Attributes:
        user_idx: int64 [N].
        item_idx: int64 [N].
        session_idx: int64 [N].
        num_users: U.
        num_items: I.
    """

    user_idx: Indices
    item_idx: Indices
    session_idx: Indices
    num_users: int
    num_items: int

    def take(self, rows: slice) -> IndexedLog:
        """Return the interactions at `rows`, over the same users and items."""
        return IndexedLog(
            user_idx=self.user_idx[rows],
            item_idx=self.item_idx[rows],
            session_idx=self.session_idx[rows],
            num_users=self.num_users,
            num_items=self.num_items,
        )


def learn_collaborative(log: IndexedLog, config: CollaborativeConfig, method: str, width: int, seed: int) -> Floats:
    """Return L2-normalised item vectors, float32 [I, width]; items without interactions are zero rows."""
    if method == "interaction_svd":
        matrix = normalised_interactions(log, config.degree_prior)
        vectors = _right_vectors(matrix, config.singular_power, width, seed)
    else:
        groups = log.session_idx if method == "ppmi_session" else log.user_idx
        counts = count_cooccurrence(groups, log.item_idx, log.num_items, config.window)
        matrix = shifted_ppmi(counts, config.shift, config.context_smoothing)
        vectors = _right_vectors(matrix, config.singular_power, width, seed)
    return normalise_rows(vectors)


def count_cooccurrence(group_idx: Indices, item_idx: Indices, num_items: int, window: int) -> sp.csr_array:
    """Return symmetric counts [I, I] of item pairs at most `window` steps apart within a group; no diagonal.

    Rows of one group keep their given (time) order.
    """
    order = np.argsort(group_idx, kind="stable")
    groups, items = group_idx[order], item_idx[order]
    total = sp.csr_array((num_items, num_items), dtype=np.float64)
    for lag in range(1, min(window, max(len(items) - 1, 0)) + 1):
        near = (groups[lag:] == groups[:-lag]) & (items[lag:] != items[:-lag])
        left, right = items[:-lag][near], items[lag:][near]
        ones = np.ones(len(left))
        total = total + sp.coo_array((ones, (left, right)), shape=total.shape).tocsr()
    return (total + total.T).tocsr()


def shifted_ppmi(counts: sp.csr_array, shift: float, context_smoothing: float) -> sp.csr_array:
    """Return max(PMI - log shift, 0) of a co-occurrence matrix [I, I] (Levy and Goldberg 2014)."""
    pairs = counts.tocoo()
    item_mass = np.asarray(counts.sum(axis=1)).ravel()
    context_mass = np.asarray(counts.sum(axis=0)).ravel() ** context_smoothing
    rows, columns = pairs.coords
    expected = item_mass[rows] * context_mass[columns] / max(context_mass.sum(), 1e-12)
    values = np.maximum(np.log(pairs.data / expected) - np.log(shift), 0.0)
    return sp.csr_array((values, (rows, columns)), shape=counts.shape)


def normalised_interactions(log: IndexedLog, degree_prior: float) -> sp.csr_array:
    """Return the binary user-item matrix [U, I] over the square roots of (degree + prior) on both sides."""
    ones = np.ones(len(log.user_idx))
    matrix = sp.csr_array((ones, (log.user_idx, log.item_idx)), shape=(log.num_users, log.num_items))
    matrix.data[:] = 1.0
    per_user = 1 / np.sqrt(np.asarray(matrix.sum(axis=1)).ravel() + degree_prior)
    per_item = 1 / np.sqrt(np.asarray(matrix.sum(axis=0)).ravel() + degree_prior)
    return (sp.diags_array(per_user) @ matrix @ sp.diags_array(per_item)).tocsr()


def normalise_rows(vectors: npt.NDArray[np.floating]) -> Floats:
    """Return the rows at unit length, float32; rows shorter than 1e-9 become zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(norms > 1e-9, vectors / np.maximum(norms, 1e-9), 0.0).astype(np.float32)


def _right_vectors(matrix: sp.csr_array, power: float, width: int, seed: int) -> npt.NDArray[np.float64]:
    """Return V S^power [columns, width] of a truncated SVD, padded with zeros above the rank."""
    rank = min(width, min(matrix.shape) - 1)
    padded = np.zeros((matrix.shape[1], width))
    if rank < 1 or matrix.nnz == 0:
        return padded
    from sklearn.utils.extmath import randomized_svd

    _, singular, right = randomized_svd(matrix, n_components=rank, n_iter=7, random_state=seed)
    singular = np.where(singular > 1e-9 * singular[0], singular, 0.0)
    padded[:, :rank] = right.T * singular**power
    return padded
