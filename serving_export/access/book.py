"""Hold who may ask the lookup server in one file: signing keys, static tokens, and what each team may use.

The file is a secret. It is written whole or not at all and for its owner alone, and read again whenever it changes.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from training.contracts.artefacts import Artefact
from training.contracts.errors import AttuneError, MissingArtefact
from training.storage import exclusive, replace_file

SECRET_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class SigningKey(Artefact):
    """One key of the file.

    Attributes:
        kid: Names the key in the head of each token that it signed.
        secret: 32 random bytes as hex digits.
        created_at: ISO 8601, UTC.
        verifies_until: ISO 8601, UTC; from then on its tokens are refused. Empty for the key that signs.
    """

    kid: str
    secret: str = field(repr=False)
    created_at: str
    verifies_until: str = ""


@dataclass(frozen=True, kw_only=True)
class StaticToken(Artefact):
    """A random token that is known by its digest alone.

    Attributes:
        sha256: Of the token, hex digits.
        team: Whose it is.
        scopes: What it allows.
        expires_at: ISO 8601, UTC.
    """

    sha256: str = field(repr=False)
    team: str
    scopes: tuple[str, ...]
    expires_at: str


@dataclass(frozen=True, kw_only=True)
class Team(Artefact):
    """What the file says of one team.

    Attributes:
        rate: Requests per time, as "600/minute"; empty for the server's own limit.
        quota: Ids per time, as "5000000/day"; empty for the server's own limit.
        tokens_from: ISO 8601, UTC: tokens that were issued before are refused.
    """

    rate: str = ""
    quota: str = ""
    tokens_from: str = ""


@dataclass(frozen=True, kw_only=True)
class Book(Artefact):
    """The whole file."""

    keys: tuple[SigningKey, ...] = ()
    static: tuple[StaticToken, ...] = ()
    teams: dict[str, Team] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the book, its parts restored."""
        static = ({**entry, "scopes": tuple(entry["scopes"])} for entry in values.get("static", ()))
        restored = {
            "keys": tuple(SigningKey.from_dict(entry) for entry in values.get("keys", ())),
            "static": tuple(StaticToken.from_dict(entry) for entry in static),
            "teams": {name: Team.from_dict(entry) for name, entry in values.get("teams", {}).items()},
        }
        return super().from_dict({**values, **restored})

    @property
    def signs(self) -> SigningKey:
        """The key that signs.

        Raises:
            MissingArtefact: There is none.
        """
        for key in self.keys:
            if not key.verifies_until:
                return key
        raise MissingArtefact("expected a key that signs, found none; make one with `tokens rotate`")

    def rotated(self, grace: timedelta, now: datetime) -> Book:
        """Return the book with a new key that signs; the one before verifies for `grace` more, older ones go then."""
        new = SigningKey(kid=secrets.token_hex(4), secret=secrets.token_hex(SECRET_BYTES), created_at=now.isoformat())
        until = (now + grace).isoformat()
        ended = (replace(key, verifies_until=min(until, key.verifies_until or until)) for key in self.keys)
        return replace(self, keys=(new, *(key for key in ended if key.verifies_until > now.isoformat())))

    def without_tokens_of(self, team: str, now: datetime) -> Book:
        """Return the book in which no token that a team has so far holds."""
        kept = tuple(token for token in self.static if token.team != team)
        cut = replace(self.teams.get(team, Team()), tokens_from=now.isoformat())
        return replace(self, static=kept, teams={**self.teams, team: cut})


def read_book(path: Path) -> Book:
    """Return what the file says.

    Raises:
        MissingArtefact: There is no such file, or it cannot be read.
        AttuneError: It is not such a file; nothing of what it holds is told.
    """
    try:
        book = Book.from_dict(json.loads(path.read_text(encoding="utf-8")))
        _require_whole(book)
        return book
    except OSError as error:
        raise MissingArtefact(
            f"expected keys at {path}, found {error.strerror}; make them with `tokens rotate`"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        remedy = "restore it, or make it anew with `tokens rotate`"
        raise AttuneError(f"expected keys, tokens and teams at {path}, found another content; {remedy}") from error


def change_book(path: Path, change: Callable[[Book], Book]) -> Book:
    """Write the file anew with one change, in turn with others; a file that is not there begins empty."""
    with exclusive(path.with_name(f".{path.name}.lock")):
        book = change(read_book(path) if path.exists() else Book())
        with replace_file(path) as temporary:
            temporary.touch(mode=0o600)
            temporary.write_text(json.dumps(book.to_dict(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return book


def _require_whole(book: Book) -> None:
    """Raise ValueError or TypeError unless every moment and every secret is one."""
    for key in book.keys:
        if len(bytes.fromhex(key.secret)) < SECRET_BYTES:
            raise ValueError("a key is too short")
    moments = [token.expires_at for token in book.static]
    moments += [key.verifies_until for key in book.keys] + [team.tokens_from for team in book.teams.values()]
    for moment in filter(None, moments):
        if datetime.fromisoformat(moment).tzinfo is None:
            raise ValueError("a moment has no time zone")


def utc_now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)
