"""Recognise users by their ids: in columns, in text, and in the bytes of files of which nothing else is known.

An id such as "17" stands in every file as a count of something. Of an id that could be anything (`is_plain`) only cells
that hold users count, and what pages for people put between quotation marks; a longer or mixed one is found wherever it
stands as a word. What names items is left alone: an item may bear the same id.
"""

from __future__ import annotations

import html
import json
import re
import struct
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import quote

MASK = "*"
OWNER = "user_id"
"""The column whose rows are a user's own, in every table of a home."""
_UNMISTAKABLE = 16
_UINT32 = struct.Struct("<I")
_PLAIN_BELOW = 4
_KEYS = (b'"user_id":"', b'"user_id": "', b'"query": "')
_QUOTES = (b'"', b"'", b"&quot;", b"&#39;", b"&#x27;", b"\\&quot;", b'\\"')


class People:
    """Some users, to be found and taken out."""

    def __init__(self, ids: Iterable[str]) -> None:
        """Take their external ids."""
        self.ids = frozenset(ids)

    @cached_property
    def in_pages(self) -> re.Pattern[bytes]:
        """What matches an id in text for people: as a word, or a plain one between quotation marks."""
        return self._matching([(mark, mark) for mark in _QUOTES])

    @cached_property
    def in_data(self) -> re.Pattern[bytes]:
        """What matches an id in text for programs: as a word, or a plain one where a user's id is expected."""
        return self._matching([(key, b'"') for key in _KEYS])

    @cached_property
    def in_bytes(self) -> re.Pattern[bytes]:
        """What matches an id in bytes of an unknown kind: ids alone that cannot be anything else."""
        return self._matching([])

    @cached_property
    def in_cells(self) -> str:
        """What DuckDB's RE2 matches in a cell: words that are not plain, between two groups; "" where there are none.

        RE2 looks neither ahead nor behind, so that the characters around a word are matched with it.
        """
        ids = [user_id for user_id in sorted(self.ids) if not is_plain(user_id)]
        forms = sorted({form.decode() for user_id in ids for form in _forms(user_id)})
        return f"(^|[^A-Za-z0-9])(?:{'|'.join(map(re.escape, forms))})([^A-Za-z0-9]|$)" if forms else ""

    def in_key(self, entity_key: bytes) -> bool:
        """Return whether a Feast entity key is that of one of the users: each value follows its length in it."""
        values = [user_id.encode(errors="surrogatepass") for user_id in self.ids]
        return b"user_id" in entity_key and any(_UINT32.pack(len(value)) + value in entity_key for value in values)

    def mentioned_in(self, cell: str | bytes) -> bool:
        """Return whether a cell mentions one of the users."""
        content = cell.encode(errors="surrogatepass") if isinstance(cell, str) else cell
        return self.in_data.search(content) is not None

    def masked_words(self, text: str) -> str:
        """Return what a person wrote about the users with their ids made illegible, however plain they are."""
        words = [_word(form) for user_id in sorted(self.ids) for form in _forms(user_id)]
        content = text.encode(errors="surrogatepass")
        return mask(re.compile(b"|".join(words)), content).decode(errors="surrogatepass") if words else text

    def masked(self, cell: str) -> str:
        """Return a cell with each mention made illegible."""
        return mask(self.in_data, cell.encode(errors="surrogatepass")).decode(errors="surrogatepass")

    def owns(self, record: Any) -> bool:
        """Return whether a JSON text is a record of one of the users, as quarantine keeps them."""
        try:
            values = json.loads(record)
        except (TypeError, ValueError):
            return False
        return isinstance(values, dict) and str(values.get(OWNER)) in self.ids

    def _matching(self, around: Sequence[tuple[bytes, bytes]]) -> re.Pattern[bytes]:
        """Match words, and plain ids between any of some pairs."""
        found = []
        for user_id in sorted(self.ids):
            forms = _forms(user_id)
            if is_plain(user_id):
                found += [_between(before, form, after) for before, after in around for form in forms]
            else:
                found += [_word(form) for form in forms]
        return re.compile(b"|".join(found) if found else b"(?!)")


def mask(pattern: re.Pattern[bytes], content: bytes) -> bytes:
    """Return text with each match made illegible, in as many bytes: JSON, HTML and CSV stay what they are."""
    return pattern.sub(lambda found: MASK.encode() * len(found.group()), content)


def names_items(name: str) -> bool:
    """Return whether a column, array or file holds what belongs to items."""
    return "item" in name


def is_plain(user_id: str) -> bool:
    """Return whether an id could be anything: short, or digits alone."""
    return len(user_id) < _PLAIN_BELOW or (user_id.isdigit() and len(user_id) < _UNMISTAKABLE)


def _forms(user_id: str) -> list[bytes]:
    """Return the bytes in which files write an id: as it is, and escaped for JSON, HTML and addresses."""
    texts = {user_id, json.dumps(user_id)[1:-1], json.dumps(user_id, ensure_ascii=False)[1:-1]}
    texts |= {html.escape(user_id), html.escape(user_id, quote=False), quote(user_id, safe=""), quote(user_id)}
    return sorted(text.encode(errors="surrogatepass") for text in texts)


def _word(form: bytes) -> bytes:
    """Match a form that no digit continues a digit of, nor a letter a letter; a very long one wherever it stands."""
    if len(form) >= _UNMISTAKABLE:
        return re.escape(form)
    return b"(?<!%s)%s(?!%s)" % (_like(form[:1]), re.escape(form), _like(form[-1:]))


def _like(character: bytes) -> bytes:
    if character.isdigit():
        return b"[0-9]"
    return b"[A-Za-z]" if character.isalpha() else b"(?!)"


def _between(before: bytes, form: bytes, after: bytes) -> bytes:
    return b"(?<=%s)%s(?=%s)" % (re.escape(before), re.escape(form), re.escape(after))
