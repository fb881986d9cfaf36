"""Check raw rows one by one against the input contract: what may land, and why the rest may not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.contracts.columns import EVENT_TYPES, NULL_IDS, Column, Table
from training.contracts.partitions import Partition
from training.ingest.conversion import Converted, Mask

MISSING_VALUE = "missing required value"
WRONG_TYPE = "wrong type"
FUTURE_TIME = "time after the arrival day"
UNKNOWN_EVENT_TYPE = "unknown event type"
CONFLICTING_DUPLICATE = "duplicate id with other content"
REUSED_ID = "id of an earlier day with other content"
NOT_UTF8 = "text that is not UTF-8"
MAX_ID_BYTES = 256
"""The published index gives every id the width of the longest, so that one very long id would fill the memory."""
LONG_ID = f"id longer than {MAX_ID_BYTES} bytes"
CONTROL_CHARACTER = "id with a control character"
REMEDIES = {
    MISSING_VALUE: "fill it in at the source and send the row again",
    WRONG_TYPE: "send it in the contract's type",
    FUTURE_TIME: "correct the producer's clock, or put the row under the day on which it arrives",
    UNKNOWN_EVENT_TYPE: f"send one of {', '.join(EVENT_TYPES)}, or rename it on import (event_types in the column map)",
    CONFLICTING_DUPLICATE: "give each record an id of its own; the first one was kept",
    REUSED_ID: "give each event an id of its own; where ids restart every day, set ATTUNE_EVENT_KEY=event_id_and_day",
    NOT_UTF8: "encode it as UTF-8 at the source and send the row again",
    LONG_ID: f"send an id of at most {MAX_ID_BYTES} bytes in UTF-8, such as a hash of the long one",
    CONTROL_CHARACTER: "send the id without NUL, tab, line break and other control characters",
}
_TIMES_NOT_AFTER_ARRIVAL = ("occurred_at", "valid_from", "signed_up_at")
_IDS = ("event_id", "user_id", "item_id")
_CONTROL = r"\p{Cc}"


@dataclass(frozen=True)
class Fault:
    """Rows [N] (mask) of which one column breaks the contract for one reason."""

    reason: str
    column: str
    rows: Mask


def faults(table: Table, converted: dict[str, Converted], partition: Partition) -> Iterator[Fault]:
    """Yield every way in which rows break the contract, the gravest first; a row may be in several.

    Args:
        table: The raw contract.
        converted: Each of its columns, converted, with the cells that failed.
        partition: The arrival day: no event is later than its end.
    """
    for column in table.columns:
        reason = NOT_UTF8 if column.kind in ("string", "strings") else WRONG_TYPE
        yield Fault(reason, column.name, converted[column.name].failed)
    for column in table.columns:
        if not column.nullable:
            yield Fault(MISSING_VALUE, column.name, _blank(converted[column.name].values, column))
    for name in _IDS:
        if name in table.column_names:
            ids = converted[name].values
            yield Fault(LONG_ID, name, _mask(pc.greater(pc.binary_length(ids), MAX_ID_BYTES)))
            yield Fault(CONTROL_CHARACTER, name, _mask(pc.match_substring_regex(ids, _CONTROL)))
    for name in _TIMES_NOT_AFTER_ARRIVAL:
        if name in table.column_names:
            late = pc.greater_equal(converted[name].values, pa.scalar(partition.as_of, converted[name].values.type))
            yield Fault(FUTURE_TIME, name, _mask(late))
    if "event_type" in table.column_names:
        known = pc.is_in(converted["event_type"].values, value_set=pa.array(EVENT_TYPES))
        yield Fault(UNKNOWN_EVENT_TYPE, "event_type", ~_mask(known))


def first_of_conflict(table: Table, rows: pa.Table) -> NDArray[np.int64]:
    """Return for each row [N] the row whose key it repeats with other content, or -1; exact repetitions are normal."""
    keys = [rows[name] for name in table.key]
    if len(keys) == 1 and len(pc.unique(keys[0])) == rows.num_rows:
        return np.full(rows.num_rows, -1)
    numbers = np.arange(rows.num_rows)
    frame = pd.DataFrame({name: key.to_pandas() for name, key in zip(table.key, keys, strict=True)}).assign(row=numbers)
    first = frame.groupby(list(table.key), sort=False)["row"].transform("first").to_numpy()
    repeats = np.flatnonzero(first != numbers)
    here, there = rows.take(repeats).to_pylist(), rows.take(first[repeats]).to_pylist()
    differs = repeats[[a != b for a, b in zip(here, there, strict=True)]]
    conflicts = np.full(rows.num_rows, -1)
    conflicts[differs] = first[differs]
    return conflicts


def _blank(values: pa.Array, column: Column) -> Mask:
    if column.kind != "string":
        return _mask(pc.is_null(values))
    text = pc.fill_null(pc.utf8_trim_whitespace(values), "")
    missing = NULL_IDS if column.name in _IDS else ("",)
    return _mask(pc.is_in(text, value_set=pa.array(missing)))


def _mask(values: pa.Array) -> Mask:
    mask: Mask = pc.fill_null(values, False).to_numpy(zero_copy_only=False)
    return mask
