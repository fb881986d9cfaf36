"""JSON that holds whatever a caller may have asked for."""

from __future__ import annotations

import json

import pytest

from serving_export.http.responses import PlainJSON


@pytest.mark.parametrize("text", ["u05", "ä", "\U0001f600", "\ud800"])
def test_every_text_is_ascii_and_comes_back(text: str) -> None:
    body = PlainJSON({"error": text}).body
    assert bytes(body).isascii()
    assert json.loads(body) == {"error": text}


def test_what_json_cannot_say_is_not_sent() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        PlainJSON({"score": float("nan")})
