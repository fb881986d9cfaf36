"""Hold what the cold-start consumer trains on: attributes and picks as tokens, pairs, item vectors, encoder inputs.

The user id is no attribute: a new user's has never been seen. Shape legend: U users, I items, A attribute tokens, P
picks, E width of an item vector, F encoder columns, N pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.arrays import Floats, Indices, Mask
from training.data.pair_log import PairLog
from training.data.vocabulary import Vocabulary

ABSENT = -1


@dataclass(frozen=True, kw_only=True)
class ColdStartData:
    """Everything by user index; `ABSENT` where a user has no such token.

    Attributes:
        items: Every rankable item.
        values: Attribute values, "column=value".
        attribute_idx_UA: int64[U, A] into `values`.
        pick_idx_UP: int64[U, P] into `items`.
        pairs: Distinct pairs in time order, of all users.
        item_vectors_IE: float32[I, E], the space's item vectors; E is 0 without a space.
        x_UF: float32[U, F], scaled encoder inputs; F is 0 without a space.
        x_mask_UF: bool[U, F], behaviour columns that the user has.
    """

    items: Vocabulary
    values: Vocabulary
    attribute_idx_UA: Indices
    pick_idx_UP: Indices
    pairs: PairLog
    item_vectors_IE: Floats
    x_UF: Floats
    x_mask_UF: Mask

    @property
    def has_history(self) -> Mask:
        """bool[U]: users with at least one pair."""
        return self.pairs.user_counts() > 0

    @property
    def lack(self) -> str:
        """What there is too little of to learn a new user's behaviour from; empty where there is enough.

        Attributes and picks teach something where two users with history differ in them.
        """
        tokens = np.hstack([self.attribute_idx_UA, self.pick_idx_UP])
        if not (tokens != ABSENT).any():
            return "no user has an attribute or an onboarding pick"
        if len(np.unique(np.sort(tokens[self.has_history], axis=1), axis=0)) < 2:
            return "every user with history has the same attributes and onboarding picks"
        return ""

    def with_pairs(self, pairs: PairLog) -> ColdStartData:
        """Return the same users and items with other pairs, such as those of some users only."""
        return replace(self, pairs=pairs)

    def without_users(self, held_out_U: Mask) -> ColdStartData:
        """Return the data as if some users had done nothing: no pairs, and no behaviour columns."""
        kept = self.pairs.where(~held_out_U[self.pairs.user_idx])
        return replace(self, pairs=kept, x_mask_UF=self.x_mask_UF & ~held_out_U[:, None])

    def as_wide_as(self, num_attributes: int, num_picks: int) -> ColdStartData:
        """Return token tables of given widths: what a trained network reads; tokens beyond them are dropped."""
        tables = _wide(self.attribute_idx_UA, num_attributes), _wide(self.pick_idx_UP, num_picks)
        return replace(self, attribute_idx_UA=tables[0], pick_idx_UP=tables[1])


def onto_items(pairs: PairLog, rows_I: Indices, num_items: int) -> PairLog:
    """Return the pairs over another item index space; `rows_I` is each item's row there, -1 for one that it lacks."""
    own = rows_I[pairs.item_idx]
    return replace(pairs.where(own >= 0), item_idx=own[own >= 0], num_items=num_items)


def tokens_of(lists: Mapping[str, Sequence[Sequence[str]]]) -> list[list[str]]:
    """Return each user's attribute tokens "column=value" from columns of lists; empty and unknown values give none."""
    columns = [
        [[f"{name}={value}" for value in values if value and value != "unknown"] for values in rows]
        for name, rows in lists.items()
    ]
    return [[token for tokens in row for token in tokens] for row in zip(*columns, strict=True)]


def padded(rows: Sequence[Sequence[int]], least: int = 1) -> Indices:
    """Return ragged index lists as int64[U, longest], `ABSENT` behind the last; at least `least` columns wide."""
    values = np.array([value for row in rows for value in row], np.int64)
    return _padded(np.array([len(row) for row in rows], np.int64), values, least)


def value_vocabulary(tokens: Sequence[Sequence[str]], min_count: int) -> Vocabulary:
    """Return the attribute values that at least `min_count` users have."""
    names, counts = np.unique([token for row in tokens for token in set(row)] or [""], return_counts=True)
    return Vocabulary([str(name) for name in names[counts >= min_count] if name], "attribute value")


def encode_tokens(tokens: Sequence[Sequence[str]], vocabulary: Vocabulary) -> Indices:
    """Return int64[U, A]: each user's known tokens, each once; others are passed over."""
    return encode_lists([list(dict.fromkeys(row)) for row in tokens], vocabulary)


def encode_lists(lists: Sequence[Sequence[str]], vocabulary: Vocabulary) -> Indices:
    """Return int64[U, longest]: the known entries of each list, in order; others are passed over."""
    found = vocabulary.encode([name for row in lists for name in row], unknown="ignore").astype(np.int64)
    owners = np.repeat(np.arange(len(lists)), [len(row) for row in lists])[found >= 0]
    return _padded(np.bincount(owners, minlength=len(lists)), found[found >= 0])


def _padded(lengths_U: Indices, values: Indices, least: int = 1) -> Indices:
    """Return lists that lie end to end as int64[U, longest], `ABSENT` behind the last."""
    table = np.full((len(lengths_U), max(least, int(lengths_U.max(initial=0)))), ABSENT, np.int64)
    table[np.arange(table.shape[1]) < lengths_U[:, None]] = values
    return table


def _wide(table: Indices, width: int) -> Indices:
    missing = max(width - table.shape[1], 0)
    return np.pad(table[:, :width], ((0, 0), (0, missing)), constant_values=ABSENT)
