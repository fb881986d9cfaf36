"""Know who asks and within which limits, from the file of keys as it is now."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from pathlib import Path

from serving_export.access.book import Book, read_book, utc_now
from serving_export.access.limits import IN_MEMORY, Counter, Limits, SharedCounter
from serving_export.access.tokens import SCOPES, Grant, InvalidToken, verify
from training.contracts.errors import AttuneError, MissingArtefact
from training.settings import Settings

logger = logging.getLogger(__name__)

REMEMBERED = 1024
"""Tokens whose verification is remembered; the team that is asked least often is asked anew."""
LOCAL = Grant(team="local", scopes=frozenset(SCOPES), expires_at=float("inf"))
"""Anyone on this machine, while there are no keys."""
Headers = Iterable[tuple[bytes, bytes]]
Stat = tuple[int, int, int]


class Door:
    """What the file of keys says, read again whenever it changes; one `stat` per request.

    Without a file everyone gets in, as long as there was none when the server started and nobody asked for keys. A file
    that has gone or cannot be read keeps everyone out.
    """

    def __init__(self, settings: Settings, *, keyed: bool = False, num_workers: int = 1) -> None:
        """Open the file of keys.

        Args:
            settings: Where the file is, where is counted, and what the limits of a team are unless the file says.
            keyed: Whether nobody gets in without a token, file or no file.
            num_workers: How many servers count together.
        """
        self._path: Path = settings.access_path
        self._keyed = keyed or settings.access_file is not None or self._path.exists()
        self._default = Limits.parse(settings.request_rate, settings.id_quota)
        self.counts_elsewhere = settings.limits_store != IN_MEMORY
        self.counter = (
            SharedCounter(settings.limits_store, num_workers) if self.counts_elsewhere else Counter(IN_MEMORY)
        )
        self._seen: Stat | None = None
        self._book: Book | None = None
        self._broken = ""
        self._known: dict[str, Grant] = {}
        self._limits: dict[str, Limits] = {}

    def grant(self, headers: Headers) -> tuple[Grant, Limits | None]:
        """Return who asks, by the head of a request, and the limits; None for a process of this machine without keys.

        Raises:
            InvalidToken: There is no token, or none that holds.
            AttuneError: There are no keys where there should be.
        """
        book = self._current()
        if book is None:
            return LOCAL, None
        grant = self._verified(book, _bearer(headers))
        return grant, self._limits_of(book, grant.team)

    @property
    def is_keyed(self) -> bool:
        """Whether a token is needed."""
        return self._keyed

    def _current(self) -> Book | None:
        try:
            stat = self._path.stat()
        except OSError:
            if not self._keyed:
                return None
            raise MissingArtefact("expected the server's keys, found none; nobody is let in without them") from None
        seen = stat.st_ino, stat.st_mtime_ns, stat.st_size
        if seen != self._seen:
            self._read(seen)
        if self._book is None:
            raise AttuneError(self._broken)
        return self._book

    def _read(self, seen: Stat) -> None:
        self._keyed = True
        self._known, self._limits = {}, {}
        try:
            self._book = read_book(self._path)
            logger.info("%d keys and %d static tokens let in", len(self._book.keys), len(self._book.static))
        except AttuneError as error:
            self._book, self._broken = None, "expected the server's keys, found a file that is none; nobody is let in"
            logger.error("%s", error)
        self._seen = seen

    def _verified(self, book: Book, token: str) -> Grant:
        found = self._known.get(token)
        if found is not None and found.expires_at > time.time():
            return found
        grant = verify(book, token, utc_now())
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[token] = grant
        return grant

    def _limits_of(self, book: Book, team: str) -> Limits:
        if team not in self._limits:
            entry = book.teams.get(team)
            rate, quota = (entry.rate, entry.quota) if entry else ("", "")
            self._limits[team] = Limits.parse(rate or str(self._default.rate), quota or str(self._default.quota))
        return self._limits[team]


def _bearer(headers: Headers) -> str:
    """Return the token of the one `authorization: Bearer` line of a request."""
    found = [value for name, value in headers if name == b"authorization"]
    kind, _, token = found[0].decode("latin-1").partition(" ") if len(found) == 1 else ("", "", "")
    if kind.lower() != "bearer" or not token.strip():
        raise InvalidToken("expected a header `authorization: Bearer TOKEN`, found none; ask for a token")
    return token.strip()
