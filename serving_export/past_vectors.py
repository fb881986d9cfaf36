"""Return the vectors that users had at past moments, from the snapshots that are retained, for a team's own training.

Point in time: a row's vector is that of the newest snapshot whose `as_of` is not after the row's. Only what was served
counts, and of a day that was published more than once what was served last. The vectors are of one space; or of one
frame, into which those of one space after another were turned, so that a model can be trained on years of them.
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
from training.contracts.errors import AttuneError, FrameMismatch, SpaceMismatch, UnknownId
from training.contracts.partitions import Partition
from training.registry.pointer import Pointer, PublishedSnapshot, find_past, read_pointer
from training.storage import replace_file

OnUnknown = Literal["raise", "null"]
OPEN_AT_ONCE = 8
"""Past snapshots that stay mapped."""


@dataclass(frozen=True)
class Source:
    """What past vectors are of: a space; with a frame, what was turned into it, of that space or (None) of any."""

    space_id: str | None = None
    frame: str | None = None

    def __str__(self) -> str:
        """Return its name for errors."""
        names = (("space", self.space_id), ("frame", self.frame))
        return " in ".join(f"{what} {name}" for what, name in names if name)

    def served_by(self, pointer: Pointer) -> Iterable[PublishedSnapshot]:
        """Return the snapshots of it that answered while a pointer was in force."""
        if self.frame is not None and self.space_id is None:
            entry = pointer.frames.get(self.frame)
            return (entry,) if entry else ()
        fits = (entry for entry in pointer.snapshots if entry.space_id == self.space_id)
        return fits if self.frame is None else (entry for entry in fits if entry.frame == self.frame)

    def mismatch(self) -> SpaceMismatch:
        """Return the error that no snapshot of it is retained."""
        where, remedy = "the retained snapshots", "ask for one that /spaces lists"
        if self.frame is not None:
            return FrameMismatch(str(self), "none of it", where, remedy)
        return SpaceMismatch(str(self.space_id), "none of it", where, remedy)

    def vectors(self, snapshot: Snapshot) -> Floats:
        """Return a snapshot's vectors of it, float32 [U, Z]."""
        return snapshot.vectors if self.frame is None else snapshot.framed_vectors


@dataclass(frozen=True, kw_only=True)
class PastRows:
    """Users at moments, and their vectors then.

    Attributes:
        user_ids: External ids, n of them.
        as_of: Moment of each row, UTC.
        space_id: Space of the snapshot that each row's vector is from; None where the user was not known then.
        partition: Day of that snapshot; None likewise.
        vectors: float32 [n, Z], NaN where the user was not known.
    """

    user_ids: Sequence[str]
    as_of: Sequence[datetime]
    space_id: Sequence[str | None]
    partition: Sequence[str | None]
    vectors: Floats


class PastVectors:
    """The retained snapshots of one home, each verified when it is first opened."""

    def __init__(self, published_dir: Path) -> None:
        """Remember where snapshots are; nothing need be published yet."""
        self._published = published_dir
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Snapshot] = OrderedDict()

    def retained(self, of: Source) -> list[PublishedSnapshot]:
        """Return the snapshots of a space or a frame that were served and are still there, oldest first, one per day.

        Of several that carried a frame on one day it is the one that answered the frame's readers.
        """
        newest = read_pointer(self._published).sequence
        past = (find_past(self._published, sequence) for sequence in range(1, newest + 1))
        served = [entry for pointer in past if pointer for entry in of.served_by(pointer)]
        by_day = {entry.partition: entry for entry in served if (self._published / entry.path).is_dir()}
        return [by_day[day] for day in sorted(by_day)]

    def read(
        self, of: Source, user_ids: Sequence[str], as_of: Sequence[datetime], on_unknown: OnUnknown = "null"
    ) -> PastRows:
        """Return the vectors of a space, or of a frame, that users had at moments, in the order asked.

        Args:
            of: The space or the frame of every vector.
            user_ids: External ids [n], repeats allowed.
            as_of: Moment of each, UTC, inclusive: a snapshot as of that very moment counts.
            on_unknown: Whether a user that the snapshot then did not hold, or a moment before the oldest retained
                snapshot, is an error or a row of NaN.

        Raises:
            SpaceMismatch: No snapshot of the space is retained.
            FrameMismatch: No retained snapshot of the space, or of any, was turned into the frame.
            UnknownId: A user was not known at its moment and `on_unknown` is "raise".
        """
        days = self.retained(of)
        if not days:
            raise of.mismatch()
        bounds = [Partition.parse(entry.partition).as_of for entry in days]
        at_n = np.searchsorted(_micros(bounds), _micros(as_of), side="right") - 1
        vectors, entries = self._gather(of, days, user_ids, at_n)
        if on_unknown == "raise" and None in entries:
            row = entries.index(None)
            raise UnknownId(
                f"expected users known at their moment, found {entries.count(None)} rows of others, first "
                f"{user_ids[row]!r} at {as_of[row].isoformat()}; the days of {of} that are retained are "
                f'{days[0].partition} to {days[-1].partition}; ask for "null" to leave such vectors out'
            )
        return PastRows(
            user_ids=user_ids,
            as_of=as_of,
            space_id=[entry.space_id if entry else None for entry in entries],
            partition=[entry.partition if entry else None for entry in entries],
            vectors=vectors,
        )

    def _gather(
        self, of: Source, days: Sequence[PublishedSnapshot], user_ids: Sequence[str], at_n: NDArray[np.int64]
    ) -> tuple[Floats, list[PublishedSnapshot | None]]:
        """Return each row's vector from the snapshot of number `at_n`, and that snapshot; -1 is none."""
        width = int(of.vectors(self._snapshot(days[-1])).shape[1])
        vectors = np.full((len(user_ids), width), np.nan, np.float32)
        entries: list[PublishedSnapshot | None] = [None] * len(user_ids)
        for number in np.unique(at_n[at_n >= 0]).tolist():
            snapshot, asked = self._snapshot(days[number]), np.flatnonzero(at_n == number)
            found = snapshot.rows_of([user_ids[row] for row in asked.tolist()])
            known = asked[found >= 0]
            vectors[known] = of.vectors(snapshot)[found[found >= 0]]
            for row in known.tolist():
                entries[row] = days[number]
        return vectors, entries

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


def write_past(blocks: Iterable[PastRows], of: Source, out: Any) -> int:
    """Write rows as Parquet, one row group a block, and return how many there are.

    Args:
        blocks: At least one, all of one width; only one is in memory at a time.
        of: The space or the frame of every vector; it stands in the file's metadata.
        out: A path or a file that is open for writing.

    Returns:
        Rows written: `user_id`, `as_of`, and, null where the user was not known, `space_id`, `partition` and `vector`
        (a list of Z).
    """
    writer, num_rows = None, 0
    try:
        for block in blocks:
            about = {"space_id": of.space_id or "", "frame": of.frame or ""}
            table = _table(block).replace_schema_metadata(about)
            writer = writer or pq.ParquetWriter(out, table.schema, compression="zstd")
            writer.write_table(table)
            num_rows += len(table)
    finally:
        if writer is not None:
            writer.close()
    return num_rows


def write_past_file(
    past: PastVectors, of: Source, rows: Iterable[tuple[list[str], list[datetime]]], out: Path, on_unknown: OnUnknown
) -> int:
    """Write the vectors for blocks of (users, moments) to a file, whole or not at all, and return how many rows."""
    with replace_file(out) as temporary:
        blocks = (past.read(of, user_ids, as_of, on_unknown) for user_ids, as_of in rows)
        return write_past(blocks, of, temporary)


def _table(block: PastRows) -> pa.Table:
    unknown = np.array([day is None for day in block.partition], dtype=np.bool_)
    columns = {
        "user_id": pa.array(block.user_ids, pa.string()),
        "as_of": pa.array(block.as_of, pa.timestamp("us", tz="UTC")),
        "space_id": pa.array(block.space_id, pa.string()),
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
