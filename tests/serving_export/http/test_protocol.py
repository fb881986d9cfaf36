"""The head of a request is bounded in time and in bytes, and so is the time that an answer waits to be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from uvicorn import Config, Server

from serving_export.http import protocol
from serving_export.http.protocol import MAX_HEAD_BYTES, BoundedProtocol

WHOLE = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Send back how long the body is, or a body of a wanted length."""
    size = 0
    more = True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    wanted = int(scope["query_string"] or 0)
    body = b"x" * wanted or str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def server(keep_alive: int = 30) -> AsyncIterator[int]:
    config = Config(app, port=0, http=BoundedProtocol, lifespan="off", log_config=None, timeout_keep_alive=keep_alive)
    running = Server(config)
    task = asyncio.create_task(running.serve())
    while not running.started:
        await asyncio.sleep(0.01)
    yield running.servers[0].sockets[0].getsockname()[1]
    running.should_exit = running.force_exit = True
    await task


async def talk(*pieces: bytes, pause_s: float = 0.0, keep_alive: int = 30) -> tuple[bytes, float]:
    """Send pieces one after the other; return all that comes until the server closes, and how long that took."""
    async with server(keep_alive) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        started = asyncio.get_running_loop().time()
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(pause_s)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return answer, asyncio.get_running_loop().time() - started


@pytest.fixture(autouse=True)
def _in_half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.5)


@pytest.mark.parametrize("pieces", [[], [b"G"], [b"GET / HTTP/1.1\r\nhost: x\r\n"], [b"\r\n"]])
def test_a_head_that_does_not_come_is_not_waited_for(pieces: list[bytes]) -> None:
    answer, took = asyncio.run(talk(*pieces))
    assert answer == b""
    assert 0.4 < took < 3


def test_a_head_that_trickles_is_late_all_the_same() -> None:
    async def trickle() -> int:
        async with server() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            ended, sent = asyncio.create_task(reader.read()), 0
            while not ended.done() and sent < 60:
                writer.write(b"x" if sent else b"GET /")
                sent += 1
                await asyncio.wait([ended], timeout=0.1)
            writer.close()
            return sent

    assert 2 < asyncio.run(trickle()) < 30


def test_the_next_head_on_a_connection_has_its_time_too() -> None:
    answer, took = asyncio.run(talk(WHOLE, b"GET / HT", pause_s=0.1))
    assert answer.count(b"200 OK") == 1
    assert 0.5 < took < 3


def test_between_two_requests_a_connection_has_the_time_of_keep_alive() -> None:
    last = WHOLE.replace(b"host: x", b"host: x\r\nconnection: close")
    answer, took = asyncio.run(talk(WHOLE, last, pause_s=1.2))
    assert answer.count(b"200 OK") == 2
    answer, took = asyncio.run(talk(WHOLE, keep_alive=1))
    assert answer.count(b"200 OK") == 1
    assert 0.9 < took < 3, "the keep-alive's second, not the head's half"


def test_requests_come_in_pieces_or_several_at_once() -> None:
    halves = [WHOLE[:7], WHOLE[7:]]
    last = WHOLE.replace(b"host: x", b"host: x\r\nconnection: close")
    answer, _ = asyncio.run(talk(WHOLE + WHOLE, *halves, last, pause_s=0.05))
    assert answer.count(b"200 OK") == 4


def test_a_body_after_its_head_in_one_piece_is_no_head() -> None:
    body = b"x" * (2 * MAX_HEAD_BYTES)
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
    last = WHOLE.replace(b"host: x", b"host: x\r\nconnection: close")
    answer, _ = asyncio.run(talk(head + body + last[:9], last[9:], pause_s=0.1))
    assert answer.count(b"200 OK") == 2
    assert str(len(body)).encode() in answer


LONG = b"x" * (MAX_HEAD_BYTES + 1)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET / HTTP/1.1\r\nhost: x\r\na: " + LONG + b"\r\n\r\n"],
        [b"GET /" + LONG + b" HTTP/1.1\r\nhost: x\r\n\r\n"],
        [b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 6000 + b"\r\n"],
        [b"GET / HTTP/1.1\r\na: ", LONG[:9000], LONG[:9000], LONG[:9000]],
    ],
)
def test_a_head_that_is_too_long_is_refused(pieces: list[bytes]) -> None:
    answer, took = asyncio.run(talk(*pieces, pause_s=0.05))
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"200 OK" not in answer
    assert took < 0.45


@pytest.mark.parametrize("pause_s", [2.5, 0.3])
def test_an_answer_is_kept_as_long_as_its_client_reads_on(pause_s: float) -> None:
    """The client takes a tenth of the answer at a time, and rests in between: within a keep-alive of 1 s, or not."""
    whole = 50_000_000

    async def ask() -> int:
        async with server(keep_alive=1) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /?%d HTTP/1.1\r\nhost: x\r\n\r\n" % whole)
            read, rests, piece = 0, 0, b"-"
            with suppress(ConnectionResetError):
                while piece and read < whole:
                    if read >= rests * whole // 10:
                        rests += 1
                        await asyncio.sleep(pause_s)
                    piece = await reader.read(2_000_000)
                    read += len(piece)
            writer.close()
            return read

    assert (asyncio.run(ask()) >= whole) == (pause_s < 1)
