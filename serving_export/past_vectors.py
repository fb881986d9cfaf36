"""Return the vectors that users had at past moments, from the snapshots that are retained, for a team's own training.

Point in time: a row's vector is that of the newest snapshot whose `as_of` is not after the row's. Only what was served
counts, and of a day that was published more than once what was served last.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from serving_export.checksum import verify
from serving_export.snapshot import Snapshot
from training.arrays import Floats
from training.contracts.errors import AttuneError, MissingArtefact, UnknownId
from training.contracts.partitions import Partition
from training.registry.pointer import PublishedSnapshot, find_past, read_pointer
from training.storage import replace_file

OnUnknown = Literal["raise", "null"]
OPEN_AT_ONCE = 8
"""Past snapshots that stay mapped."""


@dataclass(frozen=True, kw_only=True)
class PastRows:
    """Users at moments, and their vectors then.

    Attributes:
        user_ids: External ids, n of them.
        as_of: Moment of each row, UTC.
        partition: Day of the snapshot that each row's vector is from; None where the user was not known then.
        vectors: float32 [n, Z], NaN where the user was not known.
    """

    user_ids: Sequence[str]
    as_of: Sequence[datetime]
    partition: Sequence[str | None]
    vectors: Floats


class PastVectors:
    """The retained snapshots of one home, each verified when it is first opened."""

    def __init__(self, published_dir: Path) -> None:
        """Remember where snapshots are; nothing need be published yet."""
        self._published = published_dir
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Snapshot] = OrderedDict()

    def retained(self, space_id: str) -> list[PublishedSnapshot]:
        """Return the snapshots of a space that were served and are still there, oldest first, one per day."""
        newest = read_pointer(self._published).sequence
        past = (find_past(self._published, sequence) for sequence in range(1, newest + 1))
        served = [entry for pointer in past if pointer for entry in pointer.snapshots if entry.space_id == space_id]
        by_day = {entry.partition: entry for entry in served if (self._published / entry.path).is_dir()}
        return [by_day[day] for day in sorted(by_day)]

    def read(
        self, space_id: str, user_ids: Sequence[str], as_of: Sequence[datetime], on_unknown: OnUnknown = "null"
    ) -> PastRows:
        """Return the vectors of a space that users had at moments, in the order asked.

        Args:
            space_id: The space of every vector.
            user_ids: External ids [n], repeats allowed.
            as_of: Moment of each, UTC, inclusive: a snapshot as of that very moment counts.
            on_unknown: Whether a user that the snapshot then did not hold, or a moment before the oldest retained
                snapshot, is an error or a row of NaN.

        Raises:
            MissingArtefact: No snapshot of the space is retained.
            UnknownId: A user was not known at its moment and `on_unknown` is "raise".
        """
        days = self.retained(space_id)
        if not days:
            raise MissingArtefact(f"expected a retained snapshot of space {space_id}, found none; /spaces lists them")
        bounds = [Partition.parse(entry.partition).as_of for entry in days]
        at_n = np.searchsorted(_micros(bounds), _micros(as_of), side="right") - 1
        vectors, partition = self._gather(days, user_ids, at_n)
        if on_unknown == "raise" and None in partition:
            row = partition.index(None)
            raise UnknownId(
                f"expected users known at their moment, found {partition.count(None)} rows of others, first "
                f"{user_ids[row]!r} at {as_of[row].isoformat()}; the days of space {space_id} that are retained are "
                f'{days[0].partition} to {days[-1].partition}; ask for "null" to leave such vectors out'
            )
        return PastRows(user_ids=user_ids, as_of=as_of, partition=partition, vectors=vectors)

    def _gather(
        self, days: Sequence[PublishedSnapshot], user_ids: Sequence[str], at_n: NDArray[np.int64]
    ) -> tuple[Floats, list[str | None]]:
        """Return each row's vector from the snapshot of number `at_n`, and that snapshot's day; -1 is none."""
        width = int(self._snapshot(days[-1]).vectors.shape[1])
        vectors = np.full((len(user_ids), width), np.nan, np.float32)
        partition: list[str | None] = [None] * len(user_ids)
        for number in np.unique(at_n[at_n >= 0]).tolist():
            snapshot, asked = self._snapshot(days[number]), np.flatnonzero(at_n == number)
            found = snapshot.rows_of([user_ids[row] for row in asked.tolist()])
            known = asked[found >= 0]
            vectors[known] = snapshot.vectors[found[found >= 0]]
            for row in known.tolist():
                partition[row] = days[number].partition
        return vectors, partition

    def _snapshot(self, entry: PublishedSnapshot) -> Snapshot:
        with self._lock:
            if entry.path not in self._open:
                snapshot = Snapshot(self._published, entry)
                verify(snapshot.folder)
                self._open[entry.path] = snapshot
                if len(self._open) > OPEN_AT_ONCE:
                    self._open.popitem(last=False)
            self._open.move_to_end(entry.path)
            return self._open[entry.path]


def write_past(blocks: Iterable[PastRows], space_id: str, out: Any) -> int:
    """Write rows as Parquet, one row group a block, and return how many there are.

    Args:
        blocks: At least one, all of one width; only one is in memory at a time.
        space_id: Of every vector; it stands in the file's metadata.
        out: A path or a file that is open for writing.

    Returns:
        Rows written: `user_id`, `as_of`, `partition` and `vector` (a list of Z), null where the user was not known.
    """
    writer, num_rows = None, 0
    try:
        for block in blocks:
            table = _table(block).replace_schema_metadata({"space_id": space_id, "frame": ""})
            writer = writer or pq.ParquetWriter(out, table.schema, compression="zstd")
            writer.write_table(table)
            num_rows += len(table)
    finally:
        if writer is not None:
            writer.close()
    return num_rows


def write_past_file(
    past: PastVectors, space_id: str, rows: Iterable[tuple[list[str], list[datetime]]], out: Path, on_unknown: OnUnknown
) -> int:
    """Write the vectors for blocks of (users, moments) to a file, whole or not at all, and return how many rows."""
    with replace_file(out) as temporary:
        blocks = (past.read(space_id, user_ids, as_of, on_unknown) for user_ids, as_of in rows)
        return write_past(blocks, space_id, temporary)


def _table(block: PastRows) -> pa.Table:
    unknown = np.array([day is None for day in block.partition], dtype=np.bool_)
    columns = {
        "user_id": pa.array(block.user_ids, pa.string()),
        "as_of": pa.array(block.as_of, pa.timestamp("us", tz="UTC")),
        "partition": pa.array(block.partition, pa.string()),
        "vector": _lists(block.vectors, unknown),
    }
    return pa.table(columns)


def _lists(vectors_nZ: Floats, is_null_n: NDArray[np.bool_]) -> Any:
    """Return rows as lists: Arrow writes lists of fixed size to Parquet with nulls in them, but cannot read them."""
    known = ~is_null_n
    offsets = np.append(0, np.cumsum(known * vectors_nZ.shape[1])).astype(np.int32)
    values = pa.array(np.ascontiguousarray(vectors_nZ[known]).ravel())
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(is_null_n))


def _micros(moments: Sequence[datetime]) -> NDArray[np.int64]:
    """Return moments as microseconds since 1970; one without a zone would be taken for the machine's own time.

    Raises:
        AttuneError: A moment has no zone.
    """
    naive = next((moment for moment in moments if moment.tzinfo is None), None)
    if naive is not None:
        raise AttuneError(f"expected moments with a time zone, found {naive.isoformat()}; add Z for UTC")
    return np.asarray(pa.array(moments, pa.timestamp("us", tz="UTC")).cast(pa.int64()))
