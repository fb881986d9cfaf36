"""Put rows of vectors as Arrow: one column of vectors beside the users, what holds for all of them in the metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from serving_export.answers import standing_json
from serving_export.embeddings import Embeddings
from serving_export.vector_bytes import Number, reduce
from training.arrays import Floats


def stream(found: Embeddings, rows_nZ: Floats, user_ids: Sequence[str], number: Number) -> bytes:
    """Return an Arrow IPC stream of one batch.

    Args:
        found: The lookup; its standing becomes the schema's metadata, as text.
        rows_nZ: A row per user in the order asked, NaN for an unknown one.
        user_ids: The users in that order.
        number: The type of the vectors' numbers; "int8" adds a column `scale`, by which each row is to be multiplied.

    Returns:
        Columns `user_id`, `vector` (a list of Z, null for an unknown user), `virtual`, and for int8 `scale`.
    """
    numbers, scales = reduce(rows_nZ, number)
    virtual = set(found.virtual)
    columns: dict[str, Any] = {
        "user_id": pa.array(user_ids, pa.string()),
        "vector": _lists(numbers, np.asarray(np.isnan(rows_nZ).any(axis=1))),
        "virtual": pa.array([user in virtual for user in user_ids], pa.bool_()),
    }
    if scales is not None:
        columns["scale"] = pa.array(scales, pa.float32(), mask=np.isnan(scales))
    about = {name: str(value) for name, value in standing_json(found).items()}
    batch = pa.RecordBatch.from_pydict(columns).replace_schema_metadata(about)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _lists(numbers_nZ: NDArray[Any], is_null_n: NDArray[np.bool_]) -> Any:
    """Return rows as one Arrow array of lists of equal length, without a copy of the numbers."""
    flat = pa.array(np.ascontiguousarray(numbers_nZ).ravel())
    mask = pa.array(is_null_n) if is_null_n.any() else None
    return pa.FixedSizeListArray.from_arrays(flat, numbers_nZ.shape[1], mask=mask)
