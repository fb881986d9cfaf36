"""Keep account of one request: who asks, how many ids, and of which space the answer is."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from serving_export.embeddings import Standing

NOBODY = "-"
"""The team of a request without a valid token."""


@dataclass
class Tally:
    """What is known of a request so far.

    Attributes:
        team: Who asks.
        keys: Ids that were looked up or ranked for, and rows of events.
        unknown: Those of them that were not known.
        about: Of which space and how old the answer is; None where no snapshot answers.
    """

    team: str = NOBODY
    keys: int = 0
    unknown: int = 0
    about: Standing | None = None

    def count(self, keys: int = 0, unknown: int = 0) -> None:
        """Add ids that were asked for, and those among them that are not known."""
        self.keys += keys
        self.unknown += unknown


_CURRENT: ContextVar[Tally] = ContextVar("tally")


def begin_tally() -> Tally:
    """Return the account of a request that begins; the threads that work on it find it as well."""
    tally = Tally()
    _CURRENT.set(tally)
    return tally


def current_tally() -> Tally:
    """Return the account of the request that is answered here; outside of one, an account that nobody reads."""
    return _CURRENT.get(None) or Tally()
