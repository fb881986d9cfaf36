"""Hold a frame's columns of vectors as flat memory: as Python objects they cost seven times their values.

Shape legend: U rows, D vector width.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from training.arrays import Floats
from training.contracts.errors import ContractViolation

_VECTORS = pa.list_(pa.float32())


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Return a table as a frame whose columns of vectors stay Arrow lists; other lists become numpy arrays."""
    frame: pd.DataFrame = table.to_pandas(types_mapper=lambda kind: pd.ArrowDtype(kind) if kind == _VECTORS else None)
    return frame


def as_lists(vectors_UD: npt.NDArray[np.floating]) -> pa.ListArray:
    """Return the rows of vectors, [U, D], as an Arrow column of float32 lists."""
    offsets = pa.array(np.arange(len(vectors_UD) + 1, dtype=np.int32) * vectors_UD.shape[1], pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(vectors_UD, np.float32).ravel()))


def is_vectors(column: pd.Series) -> bool:
    """Return whether a column is one of vectors as `as_frame` leaves them."""
    return isinstance(column.dtype, pd.ArrowDtype) and column.dtype.pyarrow_dtype == _VECTORS


def stack_vectors(column: pd.Series) -> Floats:
    """Return the vectors of a column, Arrow lists or arrays, as float32[U, D].

    Raises:
        ContractViolation: A vector is missing, or one is of another width than the first.
    """
    if not is_vectors(column):
        return np.stack(column.to_list()).astype(np.float32)
    lists = pa.array(column)
    lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    widths = pc.unique(pc.list_value_length(lists)).to_pylist()
    if len(widths) > 1 or None in widths:
        raise ContractViolation(
            f"expected one vector of one width per row in {column.name}, found widths {sorted(map(str, widths))}; "
            "pool taste of that partition again"
        )
    return np.asarray(lists.flatten(), np.float32).reshape(len(lists), -1 if len(lists) else 0)
