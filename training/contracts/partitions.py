"""Name one UTC day of data, the unit of scheduling, backfill and idempotency."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from training.contracts.errors import AttuneError

_WRITTEN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
"""`date.fromisoformat` alone also takes 20261105 and 2026-W45-4, which no folder may be named by."""


@dataclass(frozen=True, order=True)
class Partition:
    """One UTC day `day`; its features hold what had arrived by the end of that day."""

    day: date

    @classmethod
    def parse(cls, text: str) -> Partition:
        """Return the partition named by an ISO date.

        Raises:
            AttuneError: `text` is not of the form YYYY-MM-DD.
        """
        try:
            if not _WRITTEN.fullmatch(text):
                raise ValueError("not written as a day")
            return cls(date.fromisoformat(text))
        except (TypeError, ValueError) as error:
            raise AttuneError(
                f"expected a partition as YYYY-MM-DD, found {text!r}; name the UTC day to process, e.g. 2026-11-05"
            ) from error

    def __str__(self) -> str:
        return self.day.isoformat()

    @property
    def starts_at(self) -> datetime:
        """The first instant of the day, UTC."""
        return datetime.combine(self.day, time.min, tzinfo=UTC)

    @property
    def as_of(self) -> datetime:
        """The exclusive upper bound of what this partition's features may know: the next day's 00:00 UTC."""
        return self.starts_at + timedelta(days=1)

    def shift(self, days: int) -> Partition:
        """Return the partition `days` later (earlier if negative)."""
        return Partition(self.day + timedelta(days=days))
