"""An id is found as files write it, and not inside another one; one that could be anything only where users stand."""

from __future__ import annotations

import pytest

from serving_export.erasure.people import People, is_plain, mask


@pytest.mark.parametrize(
    ("user", "text"),
    [
        ("u007", b"u007"),
        ("u007", b"such as 'u007', 'u008'"),
        ("u007", b"u006u007u008"),
        ("u007", b"clicku007"[5:]),
        ("anna m\u00fcller", b'{"user": "anna m\\u00fcller"}'),
        ("anna m\u00fcller", b"GET /users/anna%20m%C3%BCller/embedding"),
        ("a&b<c>d", b"<td>a&amp;b&lt;c&gt;d</td>"),
        ("0123456789abcdef", b"ff0123456789abcdefff"),
        ("42", b'"42"'),
    ],
)
def test_what_names_a_user_is_masked_in_as_many_bytes(user: str, text: bytes) -> None:
    masked = mask(People([user]).in_pages, text)
    assert b"*" in masked
    assert len(masked) == len(text)
    assert People([user]).in_pages.search(masked) is None


@pytest.mark.parametrize(
    ("user", "text"),
    [("u007", b"u0071"), ("u007", b"menu007"), ("42", b"count 42"), ("42", b"142"), ("u007", b"u00 7")],
)
def test_what_names_another_is_left(user: str, text: bytes) -> None:
    assert mask(People([user]).in_pages, text) == text


def test_a_plain_id_counts_in_data_only_where_a_user_is_expected() -> None:
    people = People(["42"])
    assert is_plain("42")
    assert not people.mentioned_in('{"item_id": "42"}')
    assert people.mentioned_in('{"user_id": "42"}')
    assert people.in_bytes.search(b"42") is None
    assert people.in_cells == ""


def test_nobody_is_found_nowhere() -> None:
    assert People([]).in_pages.search(b"u007") is None


def test_a_quarantined_row_is_its_users() -> None:
    people = People(["42"])
    assert people.owns('{"user_id": "42", "item_id": "7"}')
    assert people.owns('{"user_id": 42}')
    assert not people.owns('{"user_id": "7", "item_id": "42"}')
    assert not people.owns("no JSON")
