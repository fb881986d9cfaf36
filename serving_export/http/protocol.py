"""Bound what a connection may cost before a request of it is known, and after its answer is written.

uvicorn bounds neither how long the head of a request may take nor, with this parser, how long it may be; and a client
that never reads its answer keeps it in memory for ever.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_TIMEOUT_S = 5.0
MAX_HEAD_BYTES = 16_384
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):  # type: ignore[misc]
    """uvicorn's HTTP with a time and a size for the head of a request, and a time for a client to read its answer."""

    def connection_made(self, transport: Transport) -> None:
        """Begin with the head of the first request, which must come whether or not anything else does."""
        super().connection_made(transport)
        self._in_head, self._head_bytes, self._num_heads, self._unread = True, 0, 0, 0
        self._deadline: TimerHandle | None = None
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._head_is_there()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a piece; of a head that is longer than allowed no more."""
        began_in_head, num_heads = self._in_head, self._num_heads
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data) if began_in_head and num_heads == self._num_heads else 0
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_head()
        else:
            self._await_head()

    def on_headers_complete(self) -> None:
        """Answer the request, unless its head came at once and is longer than allowed."""
        self._in_head, self._head_bytes, self._num_heads = False, 0, self._num_heads + 1
        self._head_is_there()
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEAD_BYTES:
            self._refuse_head()
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body, unless its head was refused."""
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Be ready for the head of another request."""
        self._in_head = True
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Remember how much of the answer the client has not read yet; no head is late before it has begun."""
        self._unread = self.transport.get_write_buffer_size()
        if not self._head_bytes:
            self._head_is_there()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; one whose client still reads its answer may go on, one that stopped may not."""
        unread = self.transport.get_write_buffer_size()
        if unread and unread < self._unread:
            self._unread = unread
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        elif unread:
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def _await_head(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_TIMEOUT_S, self._head_is_late)

    def _head_is_there(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _head_is_late(self) -> None:
        self._deadline = None
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:  # it has sent the next request too early
            self._await_head()
        elif self._in_head:
            self.transport.close()

    def _refuse_head(self) -> None:
        self.transport.write(_TOO_LARGE)
        self.transport.close()
