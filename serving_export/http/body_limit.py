"""Bound what one request may send, in bytes and in time, before anything of it is parsed."""

from __future__ import annotations

import asyncio
import json

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 1_000_000
BODY_TIMEOUT_S = 5.0


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
            body = await asyncio.wait_for(self._read(scope, receive), self._timeout_s)
        except TimeoutError:
            await _refuse(send, 408, f"expected the whole body within {self._timeout_s:g} s, found it unfinished")
            return
        if body is None:
            await _refuse(send, 413, f"expected a body of at most {self._max_bytes} bytes, found more; ask for fewer")
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


async def _refuse(send: Send, status: int, error: str) -> None:
    body = json.dumps({"error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
