"""Serve the vectors of one space online, and take the rows of spaces out that are read no more."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy.typing as npt
import pyarrow as pa

from training.contracts.columns import USER_EMBEDDING
from training.data.feature_store import ROWS_AT_ONCE, writer_of
from training.data.online.guard import forget_slots, writing
from training.data.vector_columns import as_lists
from training.settings import Settings
from training.storage import arrow_schema

logger = logging.getLogger(__name__)


def write_vectors(
    settings: Settings, space_id: str, as_of: datetime, user_ids: Sequence[str], vectors_UZ: npt.NDArray[Any]
) -> int:
    """Serve users' vectors, float32 [U, Z], under the key of their space, and nobody else's under it.

    Returns:
        How many rows there are.
    """
    writer, view = writer_of(settings), USER_EMBEDDING.name
    times = [as_of] * len(user_ids)
    rows = writer.write(view, _blocks(space_id, times, user_ids, vectors_UZ))
    writer.keep_only(view, space_id, _blocks(space_id, times, user_ids, vectors_UZ))
    return rows


def add_vectors(
    settings: Settings, space_id: str, times: Sequence[datetime], user_ids: Sequence[str], vectors_UZ: npt.NDArray[Any]
) -> int:
    """Serve some users' vectors, float32 [U, Z], each as of a time of its own; others stay. Call it inside `writing`.

    Returns:
        How many rows there are.
    """
    return writer_of(settings).write(USER_EMBEDDING.name, _blocks(space_id, times, user_ids, vectors_UZ))


def forget_spaces(settings: Settings, view: str, spaces: Sequence[str]) -> None:
    """Remove every online row of (item) spaces from a view that has some of each; one without rows changes nothing."""
    if not spaces:
        return
    writer = writer_of(settings)
    with writing(settings):
        for space in spaces:
            writer.keep_only(view, space, ())
        forget_slots(settings, view, spaces)
    logger.info("removed the online rows of %s in %s", ", ".join(spaces), view)


def _blocks(
    space_id: str, times: Sequence[datetime], user_ids: Sequence[str], vectors_UZ: npt.NDArray[Any]
) -> Iterator[pa.RecordBatch]:
    schema = arrow_schema(USER_EMBEDDING)
    for start in range(0, len(user_ids), ROWS_AT_ONCE):
        users, vectors = user_ids[start : start + ROWS_AT_ONCE], vectors_UZ[start : start + ROWS_AT_ONCE]
        columns = {
            "user_id": pa.array(users, pa.string()),
            "space_id": pa.repeat(pa.scalar(space_id), len(users)),
            "event_timestamp": pa.array(times[start : start + ROWS_AT_ONCE], schema.field("event_timestamp").type),
            "vector": as_lists(vectors),
        }
        yield pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
