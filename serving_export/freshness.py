"""Say of which space and how old an answer is.

Standard library and `training.contracts` only, as a lookup needs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from training.contracts.partitions import Partition
from training.registry.pointer import PublishedSnapshot


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """What holds for all of an answer.

    Attributes:
        space_id: The space of every vector behind it.
        partition: The day that the snapshot is of.
        as_of: Exclusive upper bound of what it knows.
        age: From `as_of` to the answer.
        stale: Whether the age exceeds the configured one.
    """

    space_id: str
    partition: str
    as_of: datetime
    age: timedelta
    stale: bool

    @classmethod
    def of(cls, entry: PublishedSnapshot, stale_after: timedelta) -> Freshness:
        """Return what holds now for answers from a snapshot."""
        as_of = Partition.parse(entry.partition).as_of
        age = datetime.now(UTC) - as_of
        return cls(space_id=entry.space_id, partition=entry.partition, as_of=as_of, age=age, stale=age > stale_after)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; `age` is in seconds."""
        return {
            "space_id": self.space_id,
            "partition": self.partition,
            "as_of": self.as_of.isoformat(),
            "age": round(self.age.total_seconds(), 3),
            "stale": self.stale,
        }
