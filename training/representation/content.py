"""Encode items by what is said about them: categorical attributes and hashed title words.

Shape legend: I items, T tokens, D vector width.
"""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from training.arrays import Floats
from training.representation.collaborative import normalise_rows

TITLE_BUCKETS = 2**14
_MISSING = ("", "unknown")
_WORD = re.compile(r"[^\W_]{2,}")


def item_tokens(profile: pd.DataFrame) -> list[list[str]]:
    """Return the tokens of each row of an item profile; a value 'unknown' says nothing and gives no token."""
    rows = zip(profile["category"], profile["subcategory"], profile["title"], profile["attributes"], strict=True)
    return [_tokens(category, subcategory, title, attributes) for category, subcategory, title, attributes in rows]


def _tokens(category: str, subcategory: str, title: str, attributes: object) -> list[str]:
    tokens = [f"category={category}"] if category not in _MISSING else []
    tokens += [f"subcategory={subcategory}"] if subcategory not in _MISSING else []
    tokens += [f"attribute={value}" for value in _as_list(attributes)]
    words = set(_WORD.findall(title.lower())) if title not in _MISSING else set()
    return tokens + sorted({f"title#{zlib.crc32(word.encode()) % TITLE_BUCKETS}" for word in words})


def _as_list(values: object) -> list[str]:
    return [] if values is None else [str(value) for value in values]  # type: ignore[attr-defined]


@dataclass(frozen=True)
class ContentEncoder:
    """A frozen map from tokens to vectors; items that come later are projected by it.

    Attributes:
        tokens: Known tokens, sorted.
        idf: float32 [T].
        projection: float32 [T, D].
    """

    tokens: tuple[str, ...]
    idf: Floats
    projection: Floats

    @classmethod
    def learn(cls, rows: list[list[str]], width: int, seed: int) -> ContentEncoder:
        """Return the encoder of the items' tokens; tokens of a single item are left out, they relate nothing."""
        frequency = Counter(token for row in rows for token in set(row))
        tokens = tuple(sorted(token for token, count in frequency.items() if count > 1))
        counts = np.array([frequency[token] for token in tokens], dtype=np.float64)
        idf = (np.log((1 + len(rows)) / (1 + counts)) + 1).astype(np.float32)
        blank = cls(tokens, idf, np.zeros((len(tokens), width), np.float32))
        return cls(tokens, idf, _principal_tokens(blank._weigh(rows), width, seed))

    def encode(self, rows: list[list[str]]) -> Floats:
        """Return L2-normalised vectors, float32 [I, D]; an item without a known token is a zero row."""
        return normalise_rows(np.asarray(self._weigh(rows) @ self.projection.astype(np.float64)))

    def turned(self, rotation_DD: npt.NDArray[np.floating]) -> ContentEncoder:
        """Return the encoder whose vectors are those of this one, rotated."""
        return replace(self, projection=np.asarray(self.projection @ rotation_DD, np.float32))

    def save(self, folder: Path) -> None:
        """Write the encoder into `folder`."""
        (folder / "content_tokens.json").write_text(json.dumps(self.tokens), encoding="utf-8")
        np.save(folder / "content_idf.npy", self.idf)
        np.save(folder / "content_projection.npy", self.projection)

    @classmethod
    def load(cls, folder: Path) -> ContentEncoder:
        """Return the encoder that `save` wrote."""
        tokens = tuple(json.loads((folder / "content_tokens.json").read_text(encoding="utf-8")))
        return cls(tokens, np.load(folder / "content_idf.npy"), np.load(folder / "content_projection.npy"))

    def _weigh(self, rows: list[list[str]]) -> sp.csr_array:
        """Return the idf-weighted token matrix [I, T], rows at unit length."""
        position = {token: index for index, token in enumerate(self.tokens)}
        pairs = [(i, position[token]) for i, row in enumerate(rows) for token in sorted(set(row)) if token in position]
        item_idx, token_idx = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        weights = self.idf.astype(np.float64)[token_idx]
        matrix = sp.csr_array((weights, (item_idx, token_idx)), shape=(len(rows), len(self.tokens)))
        norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
        return (sp.diags_array(1 / np.maximum(norms, 1e-12)) @ matrix).tocsr()


def _principal_tokens(weighted: sp.csr_array, width: int, seed: int) -> Floats:
    """Return the token side V [T, width] of a truncated SVD (latent semantic analysis), zero-padded above the rank."""
    padded = np.zeros((weighted.shape[1], width), np.float32)
    rank = min(width, *(side - 1 for side in weighted.shape))
    if rank < 1 or weighted.nnz == 0:
        return padded
    from sklearn.utils.extmath import randomized_svd

    _, singular, right = randomized_svd(weighted, n_components=rank, n_iter=7, random_state=seed)
    padded[:, :rank] = (right * (singular > 1e-9 * singular[0])[:, None]).T
    return padded
