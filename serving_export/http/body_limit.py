"""Bound what one request may send, in bytes and in time, before anything of it is parsed."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving_export.http.refusals import send_refusal

MAX_BODY_BYTES = 1_000_000
BODY_TIMEOUT_S = 5.0
CLOSE = {"connection": "close"}
"""What is left of the request is not read, so that nothing may follow on its connection."""


class BodyLimit:
    """Take a request's body in pieces up to a limit, then hand it on whole; refuse a larger or a stalled one.

    Plain ASGI: a framework's own limit would only be asked after it had read the whole body.
    """

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BODY_BYTES, timeout_s: float = BODY_TIMEOUT_S) -> None:
        """Guard `app` with at most `max_bytes` per body, which must have come within `timeout_s`."""
        self._app, self._max_bytes, self._timeout_s = app, max_bytes, timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 or 408, or let the app answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._timeout_s):  # within this task: `wait_for` would make one of its own
                body = await self._read(scope, receive)
        except TimeoutError:
            error = f"expected the whole body within {self._timeout_s:g} s, found it unfinished"
            await send_refusal(send, 408, error, CLOSE)
            return
        if body is None:
            error = f"expected a body of at most {self._max_bytes} bytes, found more; ask for fewer"
            await send_refusal(send, 413, error, CLOSE)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the body, None when it is larger than allowed: by its header already, or by what came."""
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max_bytes:
            return None
        pieces, size, more = [], 0, True
        while more:
            message = await receive()
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > self._max_bytes:
                return None
            more = message.get("more_body", False)
        return b"".join(pieces)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a channel that gives the body at once, then whatever comes after it (a disconnection)."""
    given = False

    async def channel() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return channel
