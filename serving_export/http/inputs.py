"""What the parameters of a request may be."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator


def _whole(text: str) -> str:
    """Return text that can be encoded; half of a surrogate pair, which JSON can spell, cannot."""
    if not text.isascii() and text.encode("utf-8", "ignore").decode() != text:
        raise ValueError("expected text in Unicode, found half of a surrogate pair")
    return text


Text = Annotated[str, AfterValidator(_whole)]
Count = Annotated[int, Query(ge=1, le=1000)]
