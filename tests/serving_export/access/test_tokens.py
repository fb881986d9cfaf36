"""A token lets in its own team, for its own scopes, as long as it holds, and nothing else lets in anyone."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from serving_export.access.book import Book
from serving_export.access.tokens import (
    ALGORITHM,
    AUDIENCE,
    LONGEST_TOKEN,
    SCOPES,
    InvalidToken,
    issue,
    issue_static,
    verify,
)
from training.contracts.errors import AttuneError, MissingArtefact

NOW = datetime.now(UTC)
BOOK = Book().rotated(timedelta(days=30), NOW)
DAY = timedelta(days=1)


def signed(book: Book = BOOK, algorithm: str = ALGORITHM, headers: Any = None, **claims: Any) -> str:
    """Return a token of these claims; None leaves one out."""
    usual = {"sub": "search", "scope": "lookup", "aud": AUDIENCE, "iat": NOW, "exp": NOW + DAY}
    kept = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    key = None if algorithm == "none" else bytes.fromhex(book.signs.secret)
    return jwt.encode(kept, key, algorithm, headers={"kid": book.signs.kid} if headers is None else headers)


def test_a_token_lets_its_team_in_for_its_scopes() -> None:
    grant = verify(BOOK, issue(BOOK, "search", ["lookup", "rank"], DAY, NOW), NOW)
    assert (grant.team, grant.scopes) == ("search", {"lookup", "rank"})
    assert grant.expires_at == pytest.approx((NOW + DAY).timestamp(), abs=1)


def test_after_a_rotation_both_keys_verify_until_the_older_one_ends() -> None:
    old = issue(BOOK, "search", ["lookup"], 60 * DAY, NOW)
    both = BOOK.rotated(DAY, NOW)
    assert verify(both, issue(both, "search", ["lookup"], DAY, NOW), NOW).team == "search"
    assert verify(both, old, NOW).expires_at == pytest.approx((NOW + DAY).timestamp(), abs=1)
    with pytest.raises(InvalidToken, match="expired"):
        verify(both, old, NOW + 2 * DAY)
    with pytest.raises(InvalidToken, match="issued for this server"):
        verify(BOOK.rotated(timedelta(0), NOW), old, NOW)


def test_an_expired_token() -> None:
    with pytest.raises(InvalidToken, match="expired"):
        verify(BOOK, signed(exp=NOW - timedelta(minutes=1)), NOW)


FOREIGN = Book().rotated(DAY, NOW)
NESTED = base64.urlsafe_b64encode(b"[" * 600).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        signed(FOREIGN),
        signed(FOREIGN, headers={"kid": BOOK.signs.kid}),
        signed(algorithm="none"),
        signed(headers={}),
        signed(headers={"kid": ""}),
        signed(aud="another-server"),
        signed(aud=None),
        signed(sub=None),
        signed(iat=None),
        signed(exp=None),
        signed(iat=NOW + DAY, exp=NOW + 2 * DAY),
        signed()[:-2],
        signed() + "x",
        "",
        "..",
        "a.b.c",
        f"{NESTED}.{NESTED}.x",
        "x" * (LONGEST_TOKEN + 1),
        "é.é.é",
        "attune_é",
        "attune_",
    ],
    ids=lambda token: "",  # they are signed anew in each process
)
def test_a_token_that_is_not_ours_or_not_whole(token: str) -> None:
    with pytest.raises(InvalidToken, match="issued for this server") as refused:
        verify(BOOK, token, NOW)
    assert not token.strip(".") or token not in str(refused.value)


def test_deep_json_in_a_head_is_no_error_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving_export.access.tokens.LONGEST_TOKEN", 10**6)
    deep = base64.urlsafe_b64encode(b"[" * 200_000).decode().rstrip("=")
    with pytest.raises(InvalidToken):
        verify(BOOK, f"{deep}.{deep}.x", NOW)


def test_the_claims_cannot_be_changed() -> None:
    head, body, signature = signed().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    forged = base64.urlsafe_b64encode(json.dumps({**claims, "scope": " ".join(SCOPES)}).encode()).decode().rstrip("=")
    with pytest.raises(InvalidToken):
        verify(BOOK, f"{head}.{forged}.{signature}", NOW)


def test_scopes_that_are_not_known_allow_nothing() -> None:
    assert verify(BOOK, signed(scope="lookup root *"), NOW).scopes == {"lookup"}
    assert verify(BOOK, signed(scope=None), NOW).scopes == set()
    assert verify(BOOK, signed(scope=["lookup"]), NOW).scopes == set()


def test_a_revoked_team_needs_a_new_token() -> None:
    token, entry = issue_static("search", ["rank"], DAY, NOW)
    book = replace(BOOK, static=(entry,))
    cut = book.without_tokens_of("search", NOW + timedelta(milliseconds=1))
    with pytest.raises(InvalidToken, match="revoked"):
        verify(cut, signed(), NOW)
    with pytest.raises(InvalidToken):
        verify(cut, token, NOW)
    assert verify(cut, issue(cut, "ads", ["rank"], DAY, NOW), NOW).team == "ads"
    assert verify(cut, issue(cut, "search", ["rank"], DAY, NOW + timedelta(seconds=1)), NOW).team == "search"


def test_a_static_token_is_known_by_its_digest_alone() -> None:
    token, entry = issue_static("laptop", ["lookup"], DAY, NOW)
    book = Book(static=(issue_static("other", ["rank"], DAY, NOW)[1], entry))
    assert token not in json.dumps(book.to_dict())
    grant = verify(book, token, NOW)
    assert (grant.team, grant.scopes) == ("laptop", {"lookup"})
    with pytest.raises(InvalidToken, match="expired"):
        verify(book, token, NOW + 2 * DAY)
    with pytest.raises(InvalidToken):
        verify(book, token[:-1], NOW)


@pytest.mark.parametrize(
    ("team", "scopes", "lifetime"),
    [
        ("Search", ["rank"], DAY),
        ("", ["rank"], DAY),
        ("a b", ["rank"], DAY),
        ("a", [], DAY),
        ("a", ["root"], DAY),
        ("a", ["rank"], timedelta(0)),
        ("a", ["rank"], timedelta(days=400)),
    ],
)
def test_what_no_token_is_issued_for(team: str, scopes: list[str], lifetime: timedelta) -> None:
    with pytest.raises(AttuneError, match="expected"):
        issue(BOOK, team, scopes, lifetime, NOW)
    with pytest.raises(AttuneError, match="expected"):
        issue_static(team, scopes, lifetime, NOW)


def test_without_a_key_nothing_is_signed() -> None:
    with pytest.raises(MissingArtefact, match="tokens rotate"):
        issue(Book(), "search", ["rank"], DAY, NOW)


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
def test_a_token_of_another_algorithm_by_the_same_key() -> None:
    with pytest.raises(InvalidToken):
        verify(BOOK, signed(algorithm="HS512"), NOW)
