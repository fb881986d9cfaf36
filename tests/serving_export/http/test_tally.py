"""The account of a request is one for all that works on it, and none for others."""

from __future__ import annotations

import asyncio
from contextvars import Context

from anyio import to_thread

from serving_export.http.tally import NOBODY, begin_tally, current_tally


def test_threads_of_a_request_count_in_its_account_and_no_other() -> None:
    async def request(keys: int) -> tuple[int, int]:
        tally = begin_tally()
        await asyncio.sleep(0)
        await to_thread.run_sync(lambda: current_tally().count(keys=keys, unknown=1))
        return tally.keys, tally.unknown

    async def both() -> list[tuple[int, int]]:
        return await asyncio.gather(request(2), request(3))

    assert asyncio.run(both()) == [(2, 1), (3, 1)]


def test_outside_of_a_request_nothing_is_kept() -> None:
    def count() -> int:
        current_tally().count(keys=1)
        return current_tally().keys

    async def elsewhere() -> int:
        return await to_thread.run_sync(count)

    assert Context().run(lambda: asyncio.run(elsewhere())) == 0
    assert Context().run(lambda: current_tally().team) == NOBODY
