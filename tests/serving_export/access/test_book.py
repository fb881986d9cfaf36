"""The file of keys is whole, its owner's alone, and tells nothing of itself when it is broken."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving_export.access.book import Book, StaticToken, Team, change_book, read_book
from training.contracts.errors import AttuneError, MissingArtefact

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def rotate(book: Book) -> Book:
    return book.rotated(timedelta(days=30), NOW)


def test_a_rotation_signs_with_the_new_key_and_verifies_with_the_one_before() -> None:
    first = rotate(Book())
    second = rotate(first)
    assert [key.kid for key in second.keys] == [second.signs.kid, first.signs.kid]
    assert second.signs.kid != first.signs.kid
    assert second.keys[1].verifies_until == "2026-12-28T00:00:00+00:00"
    later = second.rotated(timedelta(days=30), NOW + timedelta(days=31))
    assert [key.kid for key in later.keys] == [later.signs.kid, second.signs.kid], "the oldest has ended"


def test_a_rotation_never_prolongs_an_older_key_and_without_grace_ends_all() -> None:
    third = rotate(rotate(rotate(Book())).rotated(timedelta(days=1), NOW))
    assert [key.verifies_until[:10] for key in third.keys] == ["", "2026-12-28", "2026-11-29", "2026-11-29"]
    assert len(third.rotated(timedelta(0), NOW).keys) == 1


def test_what_is_written_is_read_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "access.json"
    token = StaticToken(sha256="0" * 64, team="laptop", scopes=("lookup",), expires_at=NOW.isoformat())
    book = change_book(path, lambda book: replace(rotate(book), static=(token,), teams={"a": Team(rate="1/day")}))
    assert read_book(path) == book
    assert path.stat().st_mode & 0o777 == 0o600
    assert book.signs.secret not in repr(book)


def test_changes_at_once_are_all_made(tmp_path: Path) -> None:
    path = tmp_path / "access.json"

    def add(name: int) -> None:
        change_book(path, lambda book: replace(book, teams={**book.teams, str(name): Team()}))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(24)))
    assert len(read_book(path).teams) == 24


KEY = {"kid": "a", "secret": "00" * 32, "created_at": "", "verifies_until": ""}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"keys": 1}',
        '{"keys": [{"kid": "secret-kid"}]}',
        '{"surprise": 1}',
        json.dumps({"keys": [{**KEY, "secret": "00"}]}),
        json.dumps({"keys": [{**KEY, "secret": "secret-that-is-not-hex"}]}),
        json.dumps({"keys": [{**KEY, "verifies_until": "secret-moment"}]}),
        json.dumps({"keys": [{**KEY, "verifies_until": "2026-11-28"}]}),
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_a_file_of_another_content_is_refused_without_telling_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "access.json"
    path.write_text(content)
    with pytest.raises(AttuneError, match="expected keys, tokens and teams") as refused:
        read_book(path)
    assert "secret-" not in str(refused.value)


def test_a_file_that_is_not_there_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(MissingArtefact, match="tokens rotate"):
        read_book(tmp_path / "access.json")
    with pytest.raises(MissingArtefact, match="tokens rotate"):
        _ = Book().signs
