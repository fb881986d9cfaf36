"""A body is bounded in bytes and in time before it reaches the app."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from serving_export.http.body_limit import BodyLimit


def answer(pieces: list[bytes], headers: list[tuple[bytes, bytes]] | None = None, stalled: bool = False) -> Any:
    """Return what is sent for a request of these pieces, to an app that sends its body back."""
    sent: list[Any] = []
    waiting = list(pieces)

    async def receive() -> Any:
        if not waiting:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting) or stalled}

    async def send(message: Any) -> None:
        sent.append(message)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": message["body"]})

    guarded = BodyLimit(app, max_bytes=10, timeout_s=0.2)
    asyncio.run(guarded({"type": "http", "headers": headers or []}, receive, send))
    return sent[0]["status"], sent[1]["body"], len(waiting)


def test_a_body_up_to_the_limit_comes_whole() -> None:
    assert answer([b"01234", b"56789"]) == (200, b"0123456789", 0)
    assert answer([b""]) == (200, b"", 0)


def test_a_larger_body_is_refused_as_soon_as_it_is_larger() -> None:
    status, body, unread = answer([b"0" * 6, b"0" * 6, b"0" * 6])
    assert (status, unread) == (413, 1)
    assert b"at most 10 bytes" in body


@pytest.mark.parametrize("declared", [b"11", b"51000000"])
def test_a_larger_body_that_is_declared_is_not_read_at_all(declared: bytes) -> None:
    status, _, unread = answer([b"0"], [(b"content-length", declared)])
    assert (status, unread) == (413, 1)


def test_a_body_that_stalls_is_given_up() -> None:
    status, body, _ = answer([b"0"], stalled=True)
    assert (status, b"within 0.2 s" in body) == (408, True)
