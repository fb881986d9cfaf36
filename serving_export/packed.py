"""Pack external ids into one sorted array that is searched in place, and find rows in it.

An id is UTF-8 in a fixed-width numpy bytes cell: byte order is code point order, so the array sorts like the strings.
Numpy and the standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.arrays import Floats
from training.contracts.errors import ContractViolation

Ids = NDArray[np.bytes_]
Rows = NDArray[np.int64]
FRAME = "frame"
"""Folder, within a snapshot, of the vectors that were turned into a frame."""


def pack_ids(ids: Sequence[str], what: str = "user_id") -> Ids:
    """Return ids as a bytes array [N], in the order given.

    Raises:
        ContractViolation: The ids are not strictly ascending, or one is empty, ends in a NUL byte, which a fixed-width
            cell cannot hold, or holds half a surrogate pair, which UTF-8 cannot.
    """
    try:
        encoded = [text.encode() for text in ids]
    except UnicodeEncodeError as error:
        raise ContractViolation(
            f"expected every {what} as text, found half a character in {error.object!r}; drop it where the logs are "
            "landed"
        ) from error
    for text, previous in zip(encoded, [b"", *encoded], strict=False):
        if not text or text.endswith(b"\0"):
            raise ContractViolation(f"expected a {what} of text, found {text!r}; drop it where the logs are landed")
        if text <= previous:
            raise ContractViolation(
                f"expected every {what} once and sorted, found {text.decode()!r} after {previous.decode()!r}; "
                "sort and deduplicate before publishing"
            )
    return np.array(encoded, dtype=f"S{max((len(text) for text in encoded), default=1)}")


def find_rows(packed: Ids, ids: Sequence[str]) -> Rows:
    """Return the row of each id in a packed array, int64 [n], -1 where it is unknown, as is every text not in UTF-8."""
    if not len(packed) or not len(ids):
        return np.full(len(ids), -1, dtype=np.int64)
    encoded = [text.encode("utf-8", "surrogatepass") for text in ids]
    queries = np.array(encoded, dtype=packed.dtype)
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    rows = np.minimum(np.searchsorted(packed, queries), len(packed) - 1).astype(np.int64)
    is_whole = np.char.str_len(queries) == lengths  # not of one that a cell cuts, or that ends in NULs as a cell does
    rows[(packed[rows] != queries) | ~is_whole] = -1
    return rows


def unpack_ids(packed: Ids) -> list[str]:
    """Return packed ids as strings, in order."""
    return [text.decode() for text in packed.tolist()]


def pair_scores(queries: Floats, answers: Floats) -> Floats:
    """Return the score of every query with every answer, float32 [Q, A], owned by the caller.

    Args:
        queries: float32 [Q, D], or [Q, K, D] for queries of K vectors each.
        answers: float32 [A, D], or [A, K, D]; one side at most has several vectors, and its best one counts.
    """
    flat = answers.reshape(-1, answers.shape[-1])
    scores = queries.reshape(-1, queries.shape[-1]) @ flat.T
    if queries.ndim == 3:
        return np.asarray(scores.reshape(len(queries), queries.shape[1], len(answers)).max(axis=1))
    if answers.ndim == 3:
        return np.asarray(scores.reshape(len(queries), len(answers), answers.shape[1]).max(axis=2))
    return np.asarray(scores)


def top_rows(scores: Floats, k: int) -> Rows:
    """Return the rows of the k highest finite scores of a float32 [N], best first, equal ones in row order."""
    k = min(k, int(np.count_nonzero(scores > -np.inf)))
    if k <= 0:
        return np.empty(0, dtype=np.int64)
    if k < len(scores):
        threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
        above, equal = np.flatnonzero(scores > threshold), np.flatnonzero(scores == threshold)
        rows = np.concatenate([above, equal[: k - len(above)]])
    else:
        rows = np.arange(len(scores))
    return rows[np.lexsort((rows, -scores[rows]))].astype(np.int64)
