"""Hash events, so that all days of a log can be compared without reading them again."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
_MISSING = np.uint64(0x5BD1E995)
_MIX = np.uint64(0x9E3779B97F4A7C15)


def hashed_ids(rows: pa.Table) -> Hashes:
    """Return a hash of each row's event_id, uint64 [N], the same on every machine and day."""
    return _hashed_text(rows["event_id"])


def hashed_contents(rows: pa.Table) -> NDArray[np.uint32]:
    """Return a hash of all that each row says besides its id, uint32 [N]."""
    mixed = np.zeros(rows.num_rows, dtype=np.uint64)
    for name in rows.column_names:
        if name != "event_id":
            mixed = (mixed ^ _hashed(rows[name])) * _MIX
    folded: NDArray[np.uint32] = (mixed >> np.uint64(32)).astype(np.uint32)
    return folded


def _hashed(column: pa.ChunkedArray) -> Hashes:
    """Hash any contract type; 0.0 and -0.0 are equal, and a missing cell equals a missing one alone."""
    if pa.types.is_string(column.type):
        coded = column.combine_chunks().dictionary_encode()
        coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
        indices = pc.fill_null(coded.indices, len(coded.dictionary)).to_numpy(zero_copy_only=False)
        hashes: Hashes = np.append(_hashed_text(coded.dictionary), _MISSING)[indices]
        return hashes
    missing = column.is_null().to_numpy()
    if pa.types.is_floating(column.type):
        numbers = pc.fill_null(column, 0.0).to_numpy() + 0.0
    else:
        numbers = pc.fill_null(column.cast(pa.int64()), 0).to_numpy()
    filled: Hashes = np.where(missing, _MISSING, pd.util.hash_array(numbers))
    return filled


def _hashed_text(column: pa.ChunkedArray | pa.Array) -> Hashes:
    text = column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(zero_copy_only=False)
    hashes: Hashes = pd.util.hash_array(text, categorize=False)
    return hashes
