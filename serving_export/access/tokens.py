"""Issue and verify bearer tokens: signed ones (JWT, HMAC-SHA-256) and, for one machine, static ones."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from serving_export.access.book import Book, StaticToken
from training.contracts.errors import AttuneError

SCOPES = ("lookup", "rank", "history", "events", "status", "erase")
AUDIENCE = "attune-lookups"
ALGORITHM = "HS256"
LONGEST_TOKEN = 1024
"""Characters; one that we issue has some 300. What JSON a longer one could hold need not be known."""
LEEWAY_S = 10.0
"""How far the clock of the machine that issues may be off."""
_REQUIRED = {"require": ["exp", "iat", "sub", "aud"]}
_TEAM = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class InvalidToken(AttuneError):
    """A token that is not ours, not whole, or no longer valid; the message never holds any of it."""


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What a token allows.

    Attributes:
        team: Who asks.
        scopes: Some of `SCOPES`.
        expires_at: Seconds since 1970 from which on the grant no longer holds.
    """

    team: str
    scopes: frozenset[str]
    expires_at: float


def issue(book: Book, team: str, scopes: Sequence[str], lifetime: timedelta, now: datetime) -> str:
    """Return a token that the key in force signs.

    Raises:
        AttuneError: The team's name, a scope or the lifetime cannot be.
        MissingArtefact: No key signs.
    """
    _require(team, scopes, lifetime)
    key = book.signs
    claims = {
        "sub": team,
        "scope": " ".join(scopes),
        "aud": AUDIENCE,
        "iat": now.timestamp(),
        "exp": (now + lifetime).timestamp(),
    }
    return jwt.encode(claims, bytes.fromhex(key.secret), ALGORITHM, headers={"kid": key.kid})


def issue_static(team: str, scopes: Sequence[str], lifetime: timedelta, now: datetime) -> tuple[str, StaticToken]:
    """Return a random token, and what the file keeps of it.

    Raises:
        AttuneError: The team's name, a scope or the lifetime cannot be.
    """
    _require(team, scopes, lifetime)
    token = f"attune_{secrets.token_urlsafe(32)}"
    expires_at = (now + lifetime).isoformat()
    return token, StaticToken(sha256=_digest(token), team=team, scopes=tuple(scopes), expires_at=expires_at)


def verify(book: Book, token: str, now: datetime) -> Grant:
    """Return what a token allows.

    Raises:
        InvalidToken: It is not ours, not whole, or no longer valid.
    """
    if len(token) > LONGEST_TOKEN or not token.isascii():
        raise _foreign()
    grant = _verify_signed(book, token, now) if token.count(".") == 2 else _verify_static(book, token)
    if grant.expires_at <= now.timestamp():
        raise _expired()
    return grant


def _verify_signed(book: Book, token: str, now: datetime) -> Grant:
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = next((key for key in book.keys if key.kid == kid), None)
        if key is None:
            raise _foreign()
        secret = bytes.fromhex(key.secret)
        claims = jwt.decode(
            token,
            secret,
            [ALGORITHM],
            audience=AUDIENCE,
            leeway=LEEWAY_S,
            options=_REQUIRED,  # type: ignore[arg-type]
        )
    except jwt.ExpiredSignatureError as error:
        raise _expired() from error
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise error if isinstance(error, InvalidToken) else _foreign() from error
    _require_current(book, claims)
    until = _seconds(key.verifies_until) if key.verifies_until else float("inf")
    return Grant(
        team=claims["sub"],
        scopes=_scopes(str(claims.get("scope", "")).split()),
        expires_at=min(float(claims["exp"]), until),
    )


def _verify_static(book: Book, token: str) -> Grant:
    """Compare with every digest to the end, so that the time taken tells nothing of which one was near."""
    digest, found = _digest(token), None
    for entry in book.static:
        if hmac.compare_digest(entry.sha256, digest):
            found = entry
    if found is None:
        raise _foreign()
    return Grant(team=found.team, scopes=_scopes(found.scopes), expires_at=_seconds(found.expires_at))


def _require_current(book: Book, claims: dict[str, Any]) -> None:
    team = book.teams.get(claims["sub"])
    if team and team.tokens_from and float(claims["iat"]) < _seconds(team.tokens_from):
        raise InvalidToken("expected a token that holds, found one that was revoked; ask for a new one")


def _scopes(found: Sequence[str]) -> frozenset[str]:
    return frozenset(found).intersection(SCOPES)


def _require(team: str, scopes: Sequence[str], lifetime: timedelta) -> None:
    if not _TEAM.fullmatch(team):
        raise AttuneError(
            f"expected a team in lower-case letters, digits, - and _, found {team!r}; e.g. search-ranking"
        )
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise AttuneError(f"expected scopes among {', '.join(SCOPES)}, found {', '.join(unknown) or 'none'}")
    if not timedelta(0) < lifetime <= timedelta(days=366):
        raise AttuneError(f"expected a token for up to 366 days, found {lifetime}; issue another one in time")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).astimezone(UTC).timestamp()


def _foreign() -> InvalidToken:
    return InvalidToken("expected a token that was issued for this server, found another one; ask for one")


def _expired() -> InvalidToken:
    return InvalidToken("expected a token that holds, found one that has expired; ask for a new one")
