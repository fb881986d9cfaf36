"""Put rows of vectors as Arrow: one column of vectors beside the users, what holds for all of them in the metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from serving_export.answers import standing_json
from serving_export.embeddings import Embeddings, FramedItems, Standing
from serving_export.vector_bytes import Number, reduce
from training.arrays import Floats


def stream_users(found: Embeddings, rows_nZ: Floats, user_ids: Sequence[str], number: Number) -> bytes:
    """Return users' rows as an Arrow IPC stream of one batch.

    Args:
        found: The lookup; its standing becomes the schema's metadata, as text.
        rows_nZ: A row per user in the order asked, NaN for an unknown one.
        user_ids: The users in that order.
        number: The type of the vectors' numbers; "int8" adds a column `scale`, by which each row is to be multiplied.

    Returns:
        Columns `user_id`, `vector` (a list of Z, null for an unknown user), `virtual`, `fresh_at` (null for a row that
        is the snapshot's), and for int8 `scale`.
    """
    virtual = set(found.virtual)
    more = {
        "virtual": pa.array([user in virtual for user in user_ids], pa.bool_()),
        "fresh_at": pa.array([found.fresh.get(user) for user in user_ids], pa.timestamp("us", tz="UTC")),
    }
    return _stream(found, {"user_id": pa.array(user_ids, pa.string())}, rows_nZ, more, number)


def stream_items(found: FramedItems, rows_nE: Floats, item_ids: Sequence[str], number: Number) -> bytes:
    """Return items' rows likewise, in columns `item_id`, `vector`, and for int8 `scale`."""
    return _stream(found, {"item_id": pa.array(item_ids, pa.string())}, rows_nE, {}, number)


def _stream(found: Standing, key: dict[str, Any], rows_nZ: Floats, more: dict[str, Any], number: Number) -> bytes:
    numbers, scales = reduce(rows_nZ, number)
    columns = {**key, "vector": _lists(numbers, np.asarray(np.isnan(rows_nZ).any(axis=1))), **more}
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
